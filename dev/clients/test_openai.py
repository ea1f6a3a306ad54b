"""The official client of OpenAI's API, unchanged, against the server."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from conftest import CITIES, CITY, HELLO, Shape, WEATHER, wait_for_slots

TOOL = {"type": "function", "function": {**WEATHER, "parameters": CITY}}


@pytest.fixture(scope="module")
def client(url, key):
    return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=60)


def straight(variable):
    """A client of a llama-server itself."""
    return openai.OpenAI(base_url=os.environ[variable] + "/v1", api_key="none", max_retries=0, timeout=60)


def test_chat(client):
    answer = client.chat.completions.create(model="slow", messages=HELLO, max_tokens=8)
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.finish_reason == "length" and choice.logprobs is None
    assert answer.usage.completion_tokens == 8 and answer.usage.prompt_tokens > 0
    assert answer.model == "slow" and answer.id


def test_logprobs_are_those_of_the_model_server(client):
    # Without its cache, as the server computes a prompt that it has a part of in other steps, and not to the same last digit.
    ask = {"model": "slow", "messages": HELLO, "max_tokens": 24, "temperature": 0, "seed": 1}
    ask |= {"logprobs": True, "top_logprobs": 2, "extra_body": {"cache_prompt": False}}
    direct = straight("LLAMA_URL").chat.completions.create(**ask).choices[0]
    whole = client.chat.completions.create(**ask).choices[0]
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**ask, stream=True) if chunk.choices]
    streamed = [token for choice in chunks if choice.logprobs for token in choice.logprobs.content]
    assert direct.message.content == whole.message.content and len(direct.logprobs.content) > 1
    assert direct.logprobs.content == whole.logprobs.content == streamed


def test_chat_says_the_same_as_a_stream(client):
    ask = {"model": "slow", "messages": HELLO, "max_tokens": 12, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 12 and not chunks[-1].choices
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.model for chunk in chunks} == {"slow"}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


def test_the_helper_for_streams(client):
    messages = [*HELLO, {"role": "tool", "tool_call_id": "x", "content": "to be or not"}]
    with client.chat.completions.stream(model="caller", messages=messages) as stream:
        content = "".join(event.delta for event in stream if event.type == "content.delta")
    assert stream.get_final_completion().choices[0].message.content == content == "to be or not"


def test_json_schema(client):
    ask = {"model": "slow", "messages": HELLO, "max_tokens": 500, "response_format": Shape}
    assert type(client.chat.completions.parse(**ask).choices[0].message.parsed) is Shape
    with client.chat.completions.stream(**ask) as stream:
        assert type(stream.get_final_completion().choices[0].message.parsed) is Shape


def called(choice):
    """The only call of an answer that the real server was made to give."""
    assert choice.finish_reason == "tool_calls" and not choice.message.content
    (call,) = choice.message.tool_calls
    assert call.id and call.type == "function" and call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in CITIES
    return call


def test_a_call_of_the_real_server(client):
    ask = {"model": "tools", "messages": HELLO, "max_tokens": 500, "tools": [TOOL]}
    ask |= {"tool_choice": "required", "parallel_tool_calls": False}
    message = client.chat.completions.create(**ask).choices[0]
    call = called(message)
    with client.chat.completions.stream(**ask) as stream:
        called(stream.get_final_completion().choices[0])
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    ask |= {"messages": [*HELLO, message.message, result], "max_tokens": 4, "tool_choice": "none"}
    assert client.chat.completions.create(**ask).usage.completion_tokens == 4


def test_a_conversation_with_a_tool(client):
    answer = client.chat.completions.create(model="caller", messages=HELLO, tools=[TOOL])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and message.content is None
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
    messages = [*HELLO, message, result]
    assert client.chat.completions.create(model="caller", messages=messages).choices[0].message.content == "rain"


def test_a_streamed_tool_call(client):
    with client.chat.completions.stream(model="caller", messages=HELLO, tools=[TOOL]) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})


def test_completions(client):
    ask = {"model": "slow", "prompt": "once upon", "max_tokens": 8, "temperature": 0, "seed": 1}
    whole = client.completions.create(**ask)
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stream=True))
    assert whole.choices[0].text == streamed and whole.usage.completion_tokens == 8


def test_embeddings(client):
    texts = ["hello", "a longer text"]
    # The client asks for base64 unless it is told otherwise.
    packed = client.embeddings.create(model="embed", input=texts)
    plain = client.embeddings.create(model="embed", input="hello", encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1] and packed.object == "list"
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-5)
    direct = straight("EMBED_URL").embeddings.create(model="embed", input=texts, encoding_format="float")
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == direct.usage.prompt_tokens > 0
    assert plain.usage.prompt_tokens < packed.usage.prompt_tokens


def test_models(client):
    assert {"slow", "embed", "tools", "caller"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("slow").id == "slow"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("none")


def test_not_found(client):
    with pytest.raises(openai.NotFoundError) as told:
        client.chat.completions.create(model="none", messages=HELLO)
    assert (told.value.code, told.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [({"n": 2}, "n"), ({"max_tokens": 0}, "max_tokens"), ({"temperature": 9}, "temperature"), ({"messages": []}, "messages")],
)
def test_bad_request_names_the_field(client, wrong, param):
    with pytest.raises(openai.BadRequestError) as told:
        client.chat.completions.create(**{"model": "slow", "messages": HELLO, **wrong})
    assert told.value.param == param


def test_a_prompt_that_is_too_long(client):
    with pytest.raises(openai.BadRequestError) as told:
        client.chat.completions.create(model="slow", messages=[{"role": "user", "content": "hello " * 8000}])
    assert told.value.code == "context_length_exceeded"


def test_authentication(url):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=url + "/v1", api_key="wrong").chat.completions.create(model="slow", messages=HELLO)


def test_rate_limit(client):
    with pytest.raises(openai.RateLimitError) as told:
        client.chat.completions.create(model="limited", messages=HELLO)
    assert told.value.response.headers["retry-after"] == "1"


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_own_retry_waits_and_succeeds(client, stream):
    began = time.monotonic()
    answer = client.with_options(max_retries=2).chat.completions.create(model="fails-once", messages=HELLO, stream=stream)
    if stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answer) == "there you are"
    else:
        assert answer.choices[0].message.content == "there you are"
    assert time.monotonic() - began >= 1.0


def test_timeout(client):
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="hangs", messages=HELLO)


def test_a_stream_that_is_closed_early_frees_its_slot(client):
    stream = client.chat.completions.create(model="slow", messages=HELLO, max_tokens=1500, stream=True)
    for _ in zip(range(3), stream):
        pass
    wait_for_slots(lambda busy: busy > 0, 5)
    stream.close()
    wait_for_slots(lambda busy: busy == 0, 1)


def test_sixteen_streams_at_once(client):
    def read(number):
        ask = [{"role": "user", "content": f"hello {number}"}]
        chunks = client.chat.completions.create(model="slow", messages=ask, max_tokens=16, stream=True)
        return [chunk.choices[0].finish_reason for chunk in chunks][-1]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(16))) == ["length"] * 16
