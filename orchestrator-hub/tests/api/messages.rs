use std::sync::{Arc, Mutex};

use crate::wire::{changed, key, named_events};
use hub_rig::{Rig, json, service};
use orchestrator_config::file::Limits;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::{Content, ResponseFormat, Role};
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Finish, FinishReason, TextDelta, TokenEvent, ToolCallDelta, Usage};
use orchestrator_core::worker::InferenceRequest;
use orchestrator_hub::Keys;
use serde_json::{Value, json};

fn hello() -> Value {
    json!({"model": "mock", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]})
}

/// Thinks, speaks, and calls two tools.
fn rich() -> Script {
    let call = |piece: ToolCallDelta| TokenEvent::ToolCall(Box::new(piece));
    let mut usage = Usage::new(30, 20);
    usage.cached_tokens = 10;
    let finish = TokenEvent::Finish(Finish::new(FinishReason::ToolCalls, usage));
    Script::new()
        .event(TokenEvent::Reasoning(TextDelta::new("let me ")))
        .event(TokenEvent::Reasoning(TextDelta::new("see")))
        .text("I ")
        .text("look.")
        .event(call(ToolCallDelta::new(0, "").opening("a", "weather")))
        .event(call(ToolCallDelta::new(0, "{\"city\":")))
        .event(call(ToolCallDelta::new(0, "\"Oslo\"}")))
        .event(call(ToolCallDelta::new(1, "").opening("b", "time")))
        .event(finish)
}

#[tokio::test]
async fn a_whole_message_has_a_block_for_each_thing_said() {
    let rig = Rig::new(MockWorker::new(rich())).await;
    let told = json(rig.post("/v1/messages", changed(hello(), json!({"thinking": {"type": "adaptive"}}))).await).await;
    let blocks = json!([
        {"type": "thinking", "thinking": "let me see", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "b", "name": "time", "input": {}},
    ]);
    assert_eq!((&told["content"], &told["stop_reason"]), (&blocks, &json!("tool_use")));
    let usage = &told["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(20), &json!(10)));

    let told = json(rig.post("/v1/messages", hello()).await).await;
    assert_eq!(told["content"][0]["type"], "text", "who has not asked for thinking is shown none: {told}");
}

#[tokio::test]
async fn a_streamed_message_says_the_same_one_block_after_the_other() {
    let rig = Rig::new(MockWorker::new(rich())).await;
    let asked = json!({"stream": true, "thinking": {"type": "enabled", "budget_tokens": 1024}});
    let events = named_events(rig.post("/v1/messages", changed(hello(), asked)).await).await;
    for (name, data) in &events {
        assert_eq!(data["type"], json!(name));
    }
    assert_eq!((&*events[0].0, &*events[events.len() - 1].0), ("message_start", "message_stop"));
    let mut blocks: Vec<(Value, String)> = Vec::new();
    let mut open = false;
    for (name, data) in &events {
        match name.as_str() {
            "content_block_start" => {
                assert!(!open, "blocks do not overlap");
                open = true;
                assert_eq!(data["index"], blocks.len());
                blocks.push((data["content_block"].clone(), String::new()));
            }
            "content_block_delta" => {
                assert_eq!((open, &data["index"]), (true, &json!(blocks.len() - 1)));
                let delta = &data["delta"];
                let text = ["text", "thinking", "partial_json"].iter().find_map(|name| delta[name].as_str());
                blocks.last_mut().expect("a block").1.push_str(text.expect("a piece"));
            }
            "content_block_stop" => open = !std::mem::replace(&mut open, false),
            _ => {}
        }
    }
    let said: Vec<_> =
        blocks.iter().map(|(block, text)| (block["type"].as_str().unwrap_or(""), text.as_str())).collect();
    let expected =
        [("thinking", "let me see"), ("text", "I look."), ("tool_use", "{\"city\":\"Oslo\"}"), ("tool_use", "")];
    assert_eq!(said, expected);
    assert_eq!((&blocks[2].0["id"], &blocks[2].0["name"]), (&json!("a"), &json!("weather")));
    let (_, ending) = &events[events.len() - 2];
    assert_eq!((&ending["delta"]["stop_reason"], &ending["usage"]["output_tokens"]), (&json!("tool_use"), &json!(20)));
}

#[tokio::test]
async fn what_comes_between_the_pieces_of_a_call_is_a_block_behind_it() {
    let call = |piece: ToolCallDelta| TokenEvent::ToolCall(Box::new(piece));
    let script = Script::new()
        .event(call(ToolCallDelta::new(0, "").opening("a", "one")))
        .event(call(ToolCallDelta::new(1, "[").opening("b", "two")))
        .event(call(ToolCallDelta::new(0, "{")))
        .text("Both")
        .event(call(ToolCallDelta::new(1, "]")))
        .event(call(ToolCallDelta::new(0, "}")))
        .text(" at once.")
        .event(TokenEvent::finish(FinishReason::ToolCalls, Usage::new(1, 1)));
    let rig = Rig::new(MockWorker::new(script)).await;
    let events = named_events(rig.post("/v1/messages", changed(hello(), json!({"stream": true}))).await).await;
    let of = |name: &str, field: &str| -> Vec<Value> {
        events.iter().filter(|(event, _)| event == name).map(|(_, data)| data[field].clone()).collect()
    };
    let blocks = of("content_block_start", "content_block");
    let names: Vec<_> = blocks.iter().map(|block| (block["id"].as_str(), block["name"].as_str())).collect();
    assert_eq!(names, [(Some("a"), Some("one")), (Some("b"), Some("two")), (None, None)]);
    let said = of("content_block_delta", "delta");
    let said: Vec<_> = said.iter().map(|delta| delta["partial_json"].as_str().or(delta["text"].as_str())).collect();
    assert_eq!(said, [Some("{"), Some("}"), Some("[]"), Some("Both at once.")]);
    assert_eq!(of("content_block_delta", "index"), [0, 0, 1, 2]);
}

#[tokio::test]
async fn an_answer_without_a_word_has_a_block_however_it_is_read() {
    let silent = Script::new().event(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 0)));
    let rig = Rig::new(MockWorker::new(silent)).await;
    let whole = json(rig.post("/v1/messages", hello()).await).await;
    let block = json!({"type": "text", "text": ""});
    assert_eq!(whole["content"], json!([block]));
    let events = named_events(rig.post("/v1/messages", changed(hello(), json!({"stream": true}))).await).await;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"];
    assert_eq!((names.as_slice(), &events[1].1["content_block"]), (expected.as_slice(), &block));
}

#[tokio::test]
async fn the_text_at_which_a_model_stopped_is_told() {
    let mut finish = Finish::new(FinishReason::Stop, Usage::new(1, 1));
    finish.vendor = Some(Box::new([("stop_reason".to_owned(), json!("END"))].into_iter().collect()));
    let rig = Rig::new(MockWorker::new(Script::new().text("x").event(TokenEvent::Finish(finish)))).await;
    let told = json(rig.post("/v1/messages", changed(hello(), json!({"stop_sequences": ["END"]}))).await).await;
    assert_eq!((&told["stop_reason"], &told["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
}

/// Asks, and returns what the worker was told.
async fn told(body: Value) -> InferenceRequest {
    let seen = Arc::new(Mutex::new(None));
    let keeps = seen.clone();
    let worker = MockWorker::with(move |request| {
        *keeps.lock().expect("nobody panics") = Some(request.clone());
        Script::answering("x")
    });
    let rig = Rig::new(worker).await;
    let response = rig.post("/v1/messages", body).await;
    assert_eq!(response.status().as_u16(), 200, "{}", json(response).await);
    let request = seen.lock().expect("nobody panics").take();
    request.expect("it was asked")
}

#[tokio::test]
async fn a_conversation_with_tools_and_pictures_reaches_the_worker() {
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
    let told = told(changed(
        hello(),
        json!({
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": [picture, {"type": "text", "text": "Where?"}]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "a", "name": "find", "input": {"x": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "Oslo"}]},
                    {"type": "tool_result", "tool_use_id": "b", "content": "none", "is_error": true},
                    {"type": "tool_result", "tool_use_id": "c", "is_error": true},
                    {"type": "text", "text": "So?"},
                ]},
            ],
        }),
    ))
    .await;
    let roles: Vec<Role> = told.messages.iter().map(|message| message.role()).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::Tool, Role::User]);
    let Content::Image(image) = &told.messages[1].parts()[0] else { panic!("{:?}", told.messages[1]) };
    assert_eq!(image.url, "data:image/png;base64,AAAA");
    let answer = &told.messages[2];
    assert_eq!((&*answer.text(), &*answer.tool_calls()[0].arguments), ("I look.", "{\"x\":1}"));
    assert_eq!(answer.vendor_fields().and_then(|fields| fields.get("reasoning_content")), Some(&json!("hm")));
    assert_eq!((told.messages[3].answers(), &*told.messages[3].text()), (Some("a"), "Oslo"));
    assert_eq!((&*told.messages[4].text(), &*told.messages[5].text()), ("Error: none", "Error"));
    assert_eq!(&*told.messages[6].text(), "So?");
}

#[tokio::test]
async fn parameters_reach_the_worker_in_openais_words() {
    let told = told(changed(
        hello(),
        json!({
            "stop_sequences": ["END"], "temperature": 0.5, "top_p": 0.9, "top_k": 5, "service_tier": "auto", "min_p": 0.1,
            "tools": [{"name": "find", "description": "finds", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            "metadata": {"user_id": "ann"},
        }),
    ))
    .await;
    let sampling = &told.sampling;
    assert_eq!((sampling.max_tokens.map(|most| most.get()), sampling.temperature), (Some(64), Some(0.5)));
    assert_eq!((sampling.top_p, sampling.stop.as_slice()), (Some(0.9), ["END".to_owned()].as_slice()));
    let expected = json!({"top_k": 5, "tool_choice": "required", "parallel_tool_calls": false, "min_p": 0.1});
    assert_eq!(Value::from(sampling.vendor.clone()), expected);
    assert_eq!((&*told.tools[0].name, &told.tools[0].parameters), ("find", &json!({"type": "object"})));
    assert!(matches!(told.response_format, ResponseFormat::JsonSchema { .. }));
    assert_eq!(told.context.session(), Some("ann"));
}

/// Results of tools, each in the one around it.
fn nested(depth: usize) -> Value {
    let inside = json!({"type": "text", "text": "x"});
    (0..depth).fold(inside, |inside, _| json!({"type": "tool_result", "tool_use_id": "a", "content": [inside]}))
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_its_name() {
    let rig = Rig::new(MockWorker::new(Script::answering("x"))).await;
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    for (change, status, kind, named) in [
        (json!({"model": "other"}), 404, "not_found_error", "other"),
        (json!({"max_tokens": 0}), 400, "invalid_request_error", "max_tokens"),
        (json!({"max_tokens": null}), 400, "invalid_request_error", "max_tokens"),
        (json!({"messages": []}), 400, "invalid_request_error", "messages"),
        (json!({"temperature": 9}), 400, "invalid_request_error", "temperature"),
        (json!({"mcp_servers": [{}]}), 400, "invalid_request_error", "mcp_servers"),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "s"}]}),
            400,
            "invalid_request_error",
            "tools[0].type",
        ),
        (json!({"thinking": {"type": "deep"}}), 400, "invalid_request_error", "thinking"),
        (block(nested(60)), 400, "invalid_request_error", "messages[0].content"),
        (json!({"system": [{"type": "tool_use"}]}), 400, "invalid_request_error", "system"),
        (block(json!({"type": "document"})), 400, "invalid_request_error", "messages[0].content"),
        (
            block(json!({"type": "tool_use", "id": "a", "name": "b", "input": {}})),
            400,
            "invalid_request_error",
            "content[0]",
        ),
    ] {
        let response = rig.post("/v1/messages", changed(hello(), change.clone())).await;
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert_eq!(response.status().as_u16(), status, "{change}");
        let fault = json(response).await;
        assert_eq!((&fault["type"], &fault["error"]["type"]), (&json!("error"), &json!(kind)), "{fault}");
        assert_eq!(fault["request_id"], json!(id));
        assert!(fault["error"]["message"].as_str().is_some_and(|said| said.contains(named)), "{fault}");
    }
}

#[tokio::test]
async fn failures_have_the_statuses_of_anthropics_api() {
    for (kind, status, name) in [
        (WorkerErrorKind::Overloaded, 529, "overloaded_error"),
        (WorkerErrorKind::RateLimited, 429, "rate_limit_error"),
        (WorkerErrorKind::Transient, 502, "api_error"),
    ] {
        let rig = Rig::new(MockWorker::new(Script::new().fail(WorkerError::new(kind, "no")))).await;
        let response = rig.post("/v1/messages", hello()).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(json(response).await["error"]["type"], name);
    }
    let broken = Script::new().text("x").fail(WorkerError::new(WorkerErrorKind::Overloaded, "no"));
    let rig = Rig::new(MockWorker::new(broken)).await;
    let events = named_events(rig.post("/v1/messages", changed(hello(), json!({"stream": true}))).await).await;
    let (name, data) = events.last().expect("an event");
    assert_eq!((name.as_str(), &data["error"]["type"]), ("error", &json!("overloaded_error")));
}

#[tokio::test]
async fn the_key_may_stand_in_the_header_of_anthropics_clients() {
    let service = service(MockWorker::new(Script::answering("x")));
    let rig = Rig::serving(service, Keys::from_iter([key("right")]), Limits::default(), None).await;
    for (sent, status) in [("right", 200), ("wrong", 401)] {
        let request = reqwest::Client::new().post(rig.url("/v1/messages")).header("x-api-key", sent);
        let response = request.body(hello().to_string()).send().await.expect("a response");
        assert_eq!(response.status().as_u16(), status);
        if status == 401 {
            assert_eq!(json(response).await["error"]["type"], "authentication_error");
        }
    }
}
