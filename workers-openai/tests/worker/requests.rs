//! What is sent for what is asked, byte by byte where presets differ.

use std::num::NonZeroU32;

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::request::{Image, Message, PromptRequest, ResponseFormat, Tool, ToolCall};
use orchestrator_core::worker::Prefix;
use serde_json::{Value, json};
use workers_openai::{OpenAi, Preset};

use crate::{answer, finish, inference, sent, server};

async fn chat(prompt: PromptRequest) -> Value {
    let (path, body) = sent(OpenAi::builder(), inference(prompt)).await;
    assert_eq!(path, "/v1/chat/completions");
    body
}

async fn preset(preset: Preset, prompt: PromptRequest) -> Value {
    sent(OpenAi::builder().preset(preset), inference(prompt)).await.1
}

const PRESETS: [Preset; 6] =
    [Preset::OpenAi, Preset::Tgi, Preset::Ollama, Preset::LmStudio, Preset::OpenRouter, Preset::Mistral];

#[tokio::test]
async fn a_plain_question_says_no_more_than_it_must() {
    let body = chat(PromptRequest::new("hello").system("be brief")).await;
    let expected = json!({
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn every_parameter_is_sent_as_it_was_set() {
    let tool = Tool { name: "f".into(), description: "does".into(), parameters: json!({"type": "object"}) };
    let prompt = PromptRequest::new("?")
        .model("asked")
        .max_tokens(NonZeroU32::new(64).expect("not zero"))
        .temperature(0.2)
        .top_p(1.0)
        .stop("\n")
        .stop("END")
        .seed(u64::MAX)
        .tool(tool)
        .vendor("top_k", 40);
    let (_, body) = sent(OpenAi::builder().model("worker's"), inference(prompt)).await;
    let expected = json!({
        "model": "asked",
        "messages": [{"role": "user", "content": "?"}],
        "max_tokens": 64, "temperature": 0.2, "top_p": 1.0, "stop": ["\n", "END"], "seed": u64::MAX, "top_k": 40,
        "tools": [{"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object"}}}],
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_workers_model_is_asked_for_where_the_request_names_none() {
    let (_, body) = sent(OpenAi::builder().model("tiny"), inference("?".into())).await;
    assert_eq!(body["model"], "tiny");
}

#[tokio::test]
async fn pictures_calls_and_results_are_sent_in_their_form() {
    let call = ToolCall { id: "1".into(), name: "weather".into(), arguments: r#"{"city":"Oslo"}"#.into() };
    let prompt = PromptRequest::from_messages([
        Message::user("look").part(Image::new("data:image/png;base64,AA==").detail("low")),
        Message::assistant("").tool_call(call.clone()),
        Message::tool_result("1", "2 degrees"),
        Message::assistant("so").tool_call(call),
        Message::assistant(""),
        Message::user("a").part("b"),
    ]);
    let calls =
        json!([{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]);
    let expected = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        ]},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "2 degrees", "tool_call_id": "1"},
        {"role": "assistant", "content": "so", "tool_calls": calls},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "ab"},
    ]);
    assert_eq!(chat(prompt).await["messages"], expected);
}

#[tokio::test]
async fn a_vendors_field_overwrites_nothing_that_has_a_type_and_is_set() {
    let prompt = PromptRequest::new("?")
        .temperature(0.5)
        .vendor("temperature", 2)
        .vendor("top_p", 0.5)
        .vendor("stream", false)
        .vendor("stream_options", Value::Null)
        .vendor("messages", "none")
        .vendor("n", 1);
    let expected = json!({
        "messages": [{"role": "user", "content": "?"}],
        "temperature": 0.5, "top_p": 0.5, "n": 1,
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(chat(prompt).await, expected);
}

#[tokio::test]
async fn more_than_one_answer_cannot_be_asked_for() {
    let server = server(|_| answer()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    for prompt in [PromptRequest::new("?").vendor("n", 2), PromptRequest::raw("?").vendor("best_of", "3")] {
        let error = finish(&worker, inference(prompt)).await.expect_err("two answers");
        assert_eq!(error.kind(), Kind::InvalidRequest);
    }
    assert_eq!(server.seen().connections.total, 0);
}

#[tokio::test]
async fn a_raw_prompt_goes_to_completions_as_it_is() {
    let prompt = PromptRequest::raw("the quick").max_tokens(NonZeroU32::MIN).seed(1).stop(".").vendor("echo", true);
    let (path, body) = sent(OpenAi::builder().preset(Preset::OpenAi), inference(prompt)).await;
    assert_eq!(path, "/v1/completions");
    let expected = json!({
        "prompt": "the quick", "max_tokens": 1, "seed": 1, "stop": ["."], "echo": true,
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_it_cannot_do_is_refused_before_anything_is_sent() {
    let server = server(|_| answer()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    let mut continued = inference("?".into());
    continued.prefix = Some(Prefix::new("so far"));
    let tool = Tool { name: "f".into(), description: String::new(), parameters: json!({}) };
    let raw = |message: Message| {
        let mut request = inference(PromptRequest::from_messages([message]));
        request.raw = true;
        request
    };
    let call = ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() };
    let mut no_number = inference("?".into());
    no_number.sampling.temperature = Some(f32::NAN);
    let mut raw_without_number = inference(PromptRequest::raw("?"));
    raw_without_number.sampling.top_p = Some(f32::NAN);
    let refused = [
        continued,
        inference(PromptRequest::raw("?").tool(tool)),
        raw(Message::user("look").part(Image::new("data:image/png;base64,AA=="))),
        raw(Message::assistant("so").tool_call(call)),
        no_number,
        raw_without_number,
    ];
    for request in refused {
        let error = finish(&worker, request).await.expect_err("it cannot");
        assert_eq!(error.kind(), Kind::InvalidRequest);
    }
    assert_eq!(server.seen().connections.total, 0);
}

#[tokio::test]
async fn a_server_without_a_route_for_raw_prompts_is_not_sent_one() {
    let server = server(|_| answer()).await;
    let worker = OpenAi::builder().preset(Preset::Mistral).base_url(server.base_url()).build().expect("a worker");
    let error = finish(&worker, inference(PromptRequest::raw("?"))).await.expect_err("it cannot");
    assert_eq!((error.kind(), server.seen().connections.total), (Kind::InvalidRequest, 0));
}

#[tokio::test]
async fn presets_differ_in_the_limit_of_tokens() {
    for kind in PRESETS {
        let body = preset(kind, PromptRequest::new("?").max_tokens(NonZeroU32::MIN)).await;
        let (named, other) = match kind {
            Preset::OpenAi => ("max_completion_tokens", "max_tokens"),
            _ => ("max_tokens", "max_completion_tokens"),
        };
        assert_eq!((&body[named], body.get(other)), (&json!(1), None), "{kind:?}");
    }
}

#[tokio::test]
async fn presets_differ_in_the_seed() {
    for kind in PRESETS {
        let body = preset(kind, PromptRequest::new("?").seed(7)).await;
        let (named, other) = if kind == Preset::Mistral { ("random_seed", "seed") } else { ("seed", "random_seed") };
        assert_eq!((&body[named], body.get(other)), (&json!(7), None), "{kind:?}");
    }
}

#[tokio::test]
async fn presets_differ_in_asking_for_usage() {
    for kind in PRESETS {
        let asks = preset(kind, PromptRequest::new("?")).await.get("stream_options").is_some();
        assert_eq!(asks, !matches!(kind, Preset::OpenRouter | Preset::Mistral), "{kind:?}");
    }
}

#[tokio::test]
async fn presets_differ_in_top_p_of_one() {
    for kind in PRESETS {
        let whole = preset(kind, PromptRequest::new("?").top_p(1.0)).await;
        assert_eq!(whole.get("top_p").is_some(), kind != Preset::Tgi, "{kind:?}");
        assert_eq!(preset(kind, PromptRequest::new("?").top_p(0.9)).await["top_p"], 0.9, "{kind:?}");
    }
}

#[tokio::test]
async fn presets_differ_in_asking_for_json() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let format = ResponseFormat::JsonSchema { name: "thing".into(), schema: schema.clone() };
    for kind in PRESETS {
        let any = preset(kind, PromptRequest::new("?").response_format(ResponseFormat::Json)).await;
        let expected = match kind {
            Preset::Tgi => json!({"type": "json", "value": {"type": "object"}}),
            Preset::LmStudio => json!({"type": "json_schema", "json_schema":
                {"name": "object", "schema": {"type": "object"}, "strict": false}}),
            _ => json!({"type": "json_object"}),
        };
        assert_eq!(any["response_format"], expected, "{kind:?}");
        let exact = preset(kind, PromptRequest::new("?").response_format(format.clone())).await;
        let expected = match kind {
            Preset::Tgi => json!({"type": "json", "value": schema}),
            _ => json!({"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": true}}),
        };
        assert_eq!(exact["response_format"], expected, "{kind:?}");
    }
}

#[tokio::test]
async fn only_tgi_has_a_model_of_its_own() {
    for kind in PRESETS {
        let model = preset(kind, PromptRequest::new("?")).await.get("model").cloned();
        assert_eq!(model, (kind == Preset::Tgi).then(|| json!("tgi")), "{kind:?}");
    }
}
