use std::sync::{Arc, Mutex};

use crate::wire::{changed, events, key};
use hub_rig::{Rig, json, service};
use orchestrator_config::file::Limits;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_hub::Keys;
use serde_json::{Value, json};

fn hello() -> Value {
    json!({"model": "mock", "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn an_answer_comes_at_once_or_as_a_stream() {
    let rig = Rig::new(MockWorker::new(Script::answering("to be or not"))).await;
    let response = rig.post("/v1/chat/completions", hello()).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("x-request-id")), (200, true));
    let whole = json(response).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "to be or not");
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");

    let mut body = hello();
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let mut events = events(rig.post("/v1/chat/completions", body).await).await;
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let chunks: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "to be or not");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks.last().expect("a last one")["usage"]["completion_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
}

#[tokio::test]
async fn faults_are_in_openais_words() {
    let rig = Rig::new(MockWorker::new(Script::answering("x"))).await;
    for (change, status, param) in [
        (json!({"model": "other"}), 404, "model"),
        (json!({"n": 2}), 400, "n"),
        (json!({"best_of": 2}), 400, "best_of"),
        (json!({"prompt": "hello"}), 400, "prompt"),
        (json!({"max_tokens": 0}), 400, "max_tokens"),
        (json!({"max_tokens": -1}), 400, "max_tokens"),
        (json!({"max_tokens": "many"}), 400, "max_tokens"),
        (json!({"temperature": 3}), 400, "temperature"),
        (json!({"messages": []}), 400, "messages"),
        (json!({"messages": "hello"}), 400, "messages"),
        (json!({"messages": [{"role": "robot", "content": "x"}]}), 400, "messages[0].role"),
    ] {
        let mut body = hello();
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let response = rig.post("/v1/chat/completions", body).await;
        assert_eq!(response.status().as_u16(), status, "{change}");
        let fault = json(response).await;
        assert_eq!(fault["error"]["param"], param, "{fault}");
        assert_eq!(fault["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn a_user_is_a_session_where_no_header_names_one() {
    let sessions: Arc<Mutex<Vec<_>>> = Arc::default();
    let seen = sessions.clone();
    let worker = MockWorker::with(move |request| {
        seen.lock().expect("nobody panics").push(request.context.session().map(str::to_owned));
        Script::answering("x")
    });
    let rig = Rig::new(worker).await;
    let named = changed(hello(), json!({"user": "ann"}));
    rig.post("/v1/chat/completions", named.clone()).await;
    rig.post("/v1/chat/completions", changed(hello(), json!({"user": ""}))).await;
    let by_header = reqwest::Client::new().post(rig.url("/v1/chat/completions")).header("x-session-id", "talk-1");
    by_header.body(named.to_string()).send().await.expect("a response");
    let expected = [Some("ann".to_owned()), None, Some("talk-1".to_owned())];
    assert_eq!(*sessions.lock().expect("nobody panics"), expected);
}

#[tokio::test]
async fn a_failure_before_the_first_event_has_a_status() {
    let overloaded = || WorkerError::new(WorkerErrorKind::Overloaded, "busy");
    let rig = Rig::new(MockWorker::new(Script::new().fail(overloaded()))).await;
    let mut body = hello();
    body["stream"] = true.into();
    let response = rig.post("/v1/chat/completions", body).await;
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn only_who_has_a_key_is_answered() {
    let service = service(MockWorker::new(Script::answering("x")));
    let rig = Rig::serving(service, Keys::from_iter([key("right")]), Limits::default(), None).await;
    let client = reqwest::Client::new();
    for (header, expected) in
        [(None, 401), (Some("Bearer wrong"), 401), (Some("Bearer righ"), 401), (Some("Bearer right"), 200)]
    {
        let mut request = client.post(rig.url("/v1/chat/completions")).body(hello().to_string());
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let response = request.send().await.expect("a response");
        assert_eq!(response.status().as_u16(), expected, "{header:?}");
    }
}

#[tokio::test]
async fn the_field_that_the_server_behind_names_is_named() {
    let said = r#"{"error":{"message":"no","type":"invalid_request_error","param":"logit_bias","code":null}}"#;
    let refused = WorkerError::new(WorkerErrorKind::InvalidRequest, "no").with_status(400).with_body(said);
    let rig = Rig::new(MockWorker::new(Script::new().fail(refused))).await;
    let response = rig.post("/v1/chat/completions", hello()).await;
    assert_eq!(response.status().as_u16(), 400);
    assert_eq!(json(response).await["error"]["param"], "logit_bias");
}
