"""The official client of Anthropic's API, unchanged, against the server."""

import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import pytest
from conftest import CITIES, CITY, HELLO, Shape, WEATHER, wait_for_slots

TOOL = {**WEATHER, "input_schema": CITY}


@pytest.fixture(scope="module")
def client(url, key):
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=60)


def test_a_message(client):
    answer = client.messages.create(model="slow", max_tokens=8, messages=HELLO, system="Be brief.")
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", "slow")
    assert answer.content[0].type == "text" and answer.stop_reason == "max_tokens"
    usage = answer.usage
    assert usage.output_tokens == 8 and usage.input_tokens + usage.cache_read_input_tokens > 0


def test_a_message_says_the_same_as_a_stream(client):
    ask = {"model": "slow", "max_tokens": 12, "messages": HELLO, "extra_body": {"temperature": 0, "seed": 1}}
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        told = stream.get_final_message()
    assert text == whole.content[0].text == told.content[0].text
    assert told.stop_reason == "max_tokens" and told.usage.output_tokens == 12
    assert told.usage.input_tokens + told.usage.cache_read_input_tokens > 0


def test_the_bare_events(client):
    kinds = [event.type for event in client.messages.create(model="slow", max_tokens=4, messages=HELLO, stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"] and set(kinds[2:-3]) == {"content_block_delta"}
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_json_schema(client):
    shape = {"format": {"type": "json_schema", "schema": anthropic.transform_schema(Shape)}}
    answer = client.messages.create(model="slow", max_tokens=500, messages=HELLO, output_config=shape)
    assert answer.stop_reason == "end_turn" and Shape.model_validate_json(answer.content[0].text)


def called(message):
    """The only call of an answer that the real server was made to give."""
    assert message.stop_reason == "tool_use"
    (call,) = message.content
    assert call.id and (call.type, call.name) == ("tool_use", "weather") and call.input["city"] in CITIES
    return call


def test_a_call_of_the_real_server(client):
    ask = {"model": "tools", "max_tokens": 500, "messages": HELLO, "tools": [TOOL]}
    must = {"type": "any", "disable_parallel_tool_use": True}
    message = client.messages.create(**ask, tool_choice=must)
    call = called(message)
    with client.messages.stream(**ask, tool_choice=must) as stream:
        called(stream.get_final_message())
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    ask["messages"] = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(**ask | {"max_tokens": 4}, tool_choice={"type": "none"}).usage.output_tokens == 4


def test_a_conversation_with_a_tool(client):
    choice = {"type": "tool", "name": "weather"}
    answer = client.messages.create(model="caller", max_tokens=64, messages=HELLO, tools=[TOOL], tool_choice=choice)
    call = answer.content[0]
    assert (answer.stop_reason, call.type, call.name, call.input) == ("tool_use", "tool_use", "weather", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    messages = [*HELLO, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(model="caller", max_tokens=64, messages=messages).content[0].text == "rain"


def test_a_streamed_tool_call(client):
    with client.messages.stream(model="caller", max_tokens=64, messages=HELLO, tools=[TOOL]) as stream:
        assert stream.get_final_message().content[0].input == {"city": "Oslo"}


def test_models(client):
    assert {"slow", "embed"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("slow").display_name == "slow"


def test_not_found(client):
    with pytest.raises(anthropic.NotFoundError) as told:
        client.messages.create(model="none", max_tokens=8, messages=HELLO)
    assert told.value.body["error"]["type"] == "not_found_error"


def test_bad_request_names_the_field(client):
    with pytest.raises(anthropic.BadRequestError) as told:
        client.messages.create(model="slow", max_tokens=0, messages=HELLO)
    assert "max_tokens" in told.value.message


def test_authentication(url):
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=url, api_key="wrong").messages.create(model="slow", max_tokens=8, messages=HELLO)


def test_rate_limit(client):
    with pytest.raises(anthropic.RateLimitError) as told:
        client.messages.create(model="limited", max_tokens=8, messages=HELLO)
    assert told.value.response.headers["retry-after"] == "1"


def test_the_clients_own_retry_waits_and_succeeds(client):
    began = time.monotonic()
    answer = client.with_options(max_retries=2).messages.create(model="fails-once", max_tokens=8, messages=HELLO)
    assert answer.content[0].text == "there you are" and time.monotonic() - began >= 1.0


def test_timeout(client):
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.3).messages.create(model="hangs", max_tokens=8, messages=HELLO)


def test_a_stream_that_is_closed_early_frees_its_slot(client):
    stream = client.messages.create(model="slow", max_tokens=1500, messages=HELLO, stream=True)
    for _ in zip(range(5), stream):
        pass
    wait_for_slots(lambda busy: busy > 0, 5)
    stream.close()
    wait_for_slots(lambda busy: busy == 0, 1)


def test_sixteen_streams_at_once(client):
    def read(number):
        ask = [{"role": "user", "content": f"hello {number}"}]
        with client.messages.stream(model="slow", max_tokens=16, messages=ask) as stream:
            return stream.get_final_message().stop_reason

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(16))) == ["max_tokens"] * 16
