//! Every form that a field may take is read as what it is, and not merely kept.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use workers_openai::wire::{
    Arguments, BadVector, ChatCompletion, ChatMessage, ChatRequest, Completion, CompletionRequest, Content,
    EmbeddingResponse, ErrorBody, ErrorValue, Extra, Field, FinishReason, Part, Prompt, ResponseFormat, Role, Stop,
    Tool, ToolChoice, ToolMode, Vector,
};

/// Reads a value, and sees to it that it is written again as it was.
#[track_caller]
fn read<T: DeserializeOwned + Serialize>(json: Value) -> T {
    let typed = T::deserialize(&json).expect("it can be read");
    assert_eq!(serde_json::to_value(&typed).ok(), Some(json));
    typed
}

/// Nothing of it was unknown.
#[track_caller]
fn known(extra: &Extra) {
    assert!(extra.is_empty(), "{extra:?}");
}

#[test]
fn a_message_may_be_text_parts_or_anything() {
    let text: ChatMessage = read(json!({"role": "user", "content": "hi"}));
    assert_eq!(text, ChatMessage::user("hi"));

    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}});
    let broken = json!({"type": "text"});
    let parts: ChatMessage =
        read(json!({"role": "user", "content": [{"type": "text", "text": "what?"}, picture, sound, broken]}));
    let Some(Content::Parts(parts)) = parts.content.get() else { panic!("{parts:?}") };
    assert_eq!(parts[0], Part::text("what?"));
    let Part::ImageUrl(image) = &parts[1] else { panic!("{:?}", parts[1]) };
    assert_eq!((&*image.image_url.url, &image.image_url.detail), ("data:image/png;base64,AA==", &"low".into()));
    assert_eq!(parts[2..], [Part::Other(sound), Part::Other(broken)]);

    let odd: ChatMessage = read(json!({"role": "user", "content": {"text": 1}}));
    assert_eq!(odd.content, Content::Other(json!({"text": 1})).into());
}

#[test]
fn parts_are_written_with_their_type() {
    let message = ChatMessage::user(Content::Parts(vec![Part::text("a"), Part::image_url("http://h/i.png")]));
    let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "http://h/i.png"}}]);
    assert_eq!(serde_json::to_value(message).expect("written"), json!({"role": "user", "content": parts}));
}

#[test]
fn calls_and_their_results_are_messages() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let asked: ChatMessage = read(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    assert_eq!((&asked.role, &asked.content), (&Role::Assistant.into(), &Field::Null));
    let call = &asked.tool_calls.get().expect("calls")[0];
    let function = call.function.get().expect("a function");
    assert_eq!((&call.id, &call.kind, &function.name), (&"c1".into(), &"function".into(), &"f".into()));
    assert_eq!(function.arguments, Arguments::Text("{\"a\":1}".into()).into());
    known(&asked.extra);
    known(&call.extra);
    known(&function.extra);

    let result: ChatMessage = read(json!({"role": "tool", "tool_call_id": "c1", "content": "2"}));
    assert_eq!(result, ChatMessage::tool("c1", "2"));

    let object: ChatMessage = read(json!({"role": "assistant", "tool_calls": [{"function": {"arguments": {"a": 1}}}]}));
    let function = object.tool_calls.get().expect("calls")[0].function.get().expect("a function");
    assert_eq!(function.arguments, Arguments::Object(json!({"a": 1})).into());
}

#[test]
fn a_request_has_every_parameter_by_name() {
    let request: ChatRequest = read(json!({
        "model": "m", "messages": [], "max_tokens": 1, "max_completion_tokens": 2, "temperature": 0, "top_p": 0.9,
        "n": 1, "stop": ["a", "b"], "seed": -1, "presence_penalty": 0.0, "frequency_penalty": 1e-3,
        "logit_bias": {"5": -100}, "logprobs": true, "top_logprobs": 2, "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
        "tool_choice": "auto", "response_format": {"type": "text"}, "reasoning_effort": "low", "stream": true,
        "stream_options": {"include_usage": true}, "user": "u"
    }));
    known(&request.extra);
    assert_eq!(request.temperature.get().map(|temperature| temperature.get()), Some(0.0));
    assert_eq!(request.stop, Stop::Texts(vec!["a".into(), "b".into()]).into());
    assert_eq!(request.tools.get().expect("tools")[..], [Tool::function("f", "d", json!({"type": "object"}))]);
    assert_eq!(request.tool_choice, ToolChoice::Mode(ToolMode::Auto).into());
    known(&request.stream_options.get().expect("options").extra);

    let request: CompletionRequest = read(json!({
        "model": "m", "prompt": "p", "suffix": "s", "max_tokens": 1, "temperature": 0.5, "top_p": 1, "n": 1,
        "best_of": 2, "stop": "a", "seed": 18_446_744_073_709_551_615u64, "presence_penalty": 0,
        "frequency_penalty": 0, "logit_bias": {}, "logprobs": 5, "echo": false, "response_format": null,
        "stream": false, "stream_options": null, "user": "u"
    }));
    known(&request.extra);
    assert_eq!((request.stop, request.response_format), (Stop::Text("a".into()).into(), Field::Null));
}

#[test]
fn parameters_of_a_vendor_stand_beside_the_others() {
    let mut request = ChatRequest::new("m", vec![]);
    request.extra.insert("cache_salt".into(), json!("s"));
    assert_eq!(
        serde_json::to_value(&request).expect("written"),
        json!({"model": "m", "messages": [], "cache_salt": "s"})
    );
}

#[test]
fn a_prompt_may_be_text_tokens_or_several() {
    let prompt = |json: Value| read::<CompletionRequest>(json!({"prompt": json})).prompt;
    assert_eq!(prompt(json!("a")), Prompt::Text("a".into()));
    assert_eq!(prompt(json!([395, 70])), Prompt::Tokens(vec![395, 70]));
    assert_eq!(prompt(json!(["a", "b"])), Prompt::Texts(vec!["a".into(), "b".into()]));
    assert_eq!(prompt(json!([[1], [2]])), Prompt::Other(json!([[1], [2]])));
}

#[test]
fn a_tool_may_be_chosen() {
    assert_eq!(read::<ToolChoice>(json!("required")), ToolChoice::Mode(ToolMode::Required));
    assert_eq!(read::<ToolChoice>(json!("none")), ToolChoice::Mode(ToolMode::None));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(read::<ToolChoice>(named), ToolChoice::function("f"));
    let odd = json!({"type": "allowed_tools"});
    assert_eq!(read::<ToolChoice>(odd.clone()), ToolChoice::Other(odd));
}

#[test]
fn an_answer_may_have_to_have_a_form() {
    assert_eq!(read::<ResponseFormat>(json!({"type": "text"})), ResponseFormat::Text(Extra::new()));
    let object: ResponseFormat = read(json!({"type": "json_object", "schema": {"type": "object"}}));
    let ResponseFormat::JsonObject(extra) = object else { panic!("{object:?}") };
    assert_eq!(extra["schema"], json!({"type": "object"}));
    let schema = json!({"name": "x", "schema": {"type": "boolean"}, "strict": true});
    assert_eq!(
        read::<ResponseFormat>(json!({"type": "json_schema", "json_schema": schema})),
        ResponseFormat::json_schema("x", json!({"type": "boolean"}), true)
    );
    let grammar = json!({"type": "grammar", "grammar": "root ::= \"a\""});
    assert_eq!(read::<ResponseFormat>(grammar.clone()), ResponseFormat::Other(grammar));
}

#[test]
fn an_answer_has_its_parts_by_name() {
    let answer: ChatCompletion = read(json!({
        "id": "c", "object": "chat.completion", "created": 1.5, "model": "m", "system_fingerprint": null,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": {"content": [{"token": "a", "logprob": -1,
            "bytes": [97], "top_logprobs": []}], "refusal": null}, "message": {"role": "assistant", "content": "a",
            "refusal": null, "reasoning": "r", "reasoning_content": "r"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 0}}
    }));
    known(&answer.extra);
    let choice = &answer.choices.get().expect("choices")[0];
    known(&choice.extra);
    known(&choice.message.get().expect("a message").extra);
    let logprobs = choice.logprobs.get().expect("logprobs");
    known(&logprobs.extra);
    known(&logprobs.content.get().expect("tokens")[0].extra);
    let usage = answer.usage.get().expect("usage");
    known(&usage.extra);
    known(&usage.prompt_tokens_details.get().expect("details").extra);
    known(&usage.completion_tokens_details.get().expect("details").extra);

    let answer: Completion = read(json!({"choices": [{"text": "ab", "index": 0, "finish_reason": "", "logprobs": {
        "tokens": ["a", "b"], "token_logprobs": [null, -0.5], "top_logprobs": [null, {"b": -0.5}], "text_offset": [0, 1]
    }}]}));
    let choice = &answer.choices.get().expect("choices")[0];
    known(&choice.extra);
    assert_eq!(choice.finish_reason, FinishReason::Other(String::new()).into());
    let logprobs = choice.logprobs.get().expect("logprobs");
    known(&logprobs.extra);
    let second = logprobs.token_logprobs.get().expect("log probabilities")[1];
    assert_eq!(second.map(|logprob| logprob.get()), Some(-0.5));
}

#[test]
fn a_vector_may_be_numbers_or_base64() {
    let response: EmbeddingResponse = read(json!({"object": "list", "model": "m", "data": [
        {"object": "embedding", "index": 0, "embedding": [1, -0.5, 0.0]},
        {"object": "embedding", "index": 1, "embedding": "AACAPwAAAL8AAAAA"},
    ]}));
    known(&response.extra);
    for embedding in response.data.get().expect("vectors") {
        known(&embedding.extra);
        assert_eq!(embedding.embedding.to_f32(), Ok(vec![1.0, -0.5, 0.0]));
    }
    for text in ["AAAA", "AAAAA", "no base64"] {
        let bad: Result<_, BadVector> = Vector::Base64(text.into()).to_f32();
        assert_eq!(bad.expect_err(text).to_string(), "vector is not 32-bit numbers in base64");
    }
}

#[test]
fn an_error_says_what_it_says_in_several_places() {
    for (json, message) in [
        (json!({"error": {"message": "m", "type": "t", "param": null, "code": 400}}), Some("m")),
        (json!({"error": "m", "error_type": "overloaded"}), Some("m")),
        (json!({"detail": "m"}), Some("m")),
        (json!({"object": "error", "message": "m", "code": 40_303}), Some("m")),
        (json!({"error": 5}), None),
        (json!({"detail": [{"loc": ["body"], "msg": "m"}]}), None),
    ] {
        assert_eq!(read::<ErrorBody>(json.clone()).message(), message, "{json}");
    }
    let body: ErrorBody = read(json!({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}));
    let Some(ErrorValue::Object(error)) = body.error.get() else { panic!("{body:?}") };
    assert_eq!((&error.kind, &error.code), (&"t".into(), &json!("c").into()));
    known(&error.extra);
}

#[test]
fn what_is_not_finite_is_null() {
    let request = ChatRequest { temperature: f64::NAN.into(), ..ChatRequest::new("m", vec![]) };
    assert_eq!(serde_json::to_value(&request).expect("written")["temperature"], Value::Null);
}
