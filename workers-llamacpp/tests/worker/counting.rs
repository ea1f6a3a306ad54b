use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, Request};
use serde_json::{Value, json};
use workers_llamacpp::LlamaCpp;

use super::{bodies, server};

/// One token for each character; ids come back as they are.
fn tokenize(request: &Request) -> Reply {
    let content = &request.json()["content"];
    let part = |part: &Value| match part {
        Value::String(text) => vec![1; text.chars().count()],
        id => vec![id.as_i64().expect("an id")],
    };
    let tokens: Vec<i64> =
        content.as_array().map_or_else(|| part(content), |parts| parts.iter().flat_map(part).collect());
    Reply::json(200, json!({"tokens": tokens}).to_string())
}

/// A template that knows no system message, writes three characters around the others, and two at the end.
fn template(request: &Request) -> Reply {
    let messages = request.json()["messages"].as_array().expect("messages").clone();
    if messages.iter().any(|message| message["role"] == "system") {
        return Reply::json(
            400,
            r#"{"error":{"code":400,"message":"no system messages","type":"invalid_request_error"}}"#,
        );
    }
    let text: String =
        messages.iter().map(|message| format!("<{}>\n", message["content"].as_str().expect("text"))).collect();
    Reply::json(200, json!({"prompt": text + "A:"}).to_string())
}

#[tokio::test]
async fn all_texts_are_counted_in_one_request() {
    let server =
        server(|request| if request.path() == "/tokenize" { tokenize(request) } else { template(request) }).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let counter = worker.token_counter().await.expect("it counts");
    let asked = server.seen().on("/tokenize").count();
    assert_eq!(counter.count(&["abc", "", "\u{e9}"]).await.expect("counted"), [3, 0, 1]);
    let seen = server.seen();
    assert_eq!(seen.on("/tokenize").count(), asked + 1);
    let last = bodies(&seen, "/tokenize").pop().expect("asked");
    assert_eq!(last["content"], json!(["abc", -1, "", -1, "\u{e9}", -1]));
    assert_eq!((&last["add_special"], &last["parse_special"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn a_template_that_refuses_some_roles_is_measured_by_the_others() {
    let server =
        server(|request| if request.path() == "/tokenize" { tokenize(request) } else { template(request) }).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    // One message has 3 and 2 around it, which is 5 for two; three have 11, for four.
    assert_eq!(worker.token_counter().await.expect("it counts").per_message(), 3);
}

#[tokio::test]
async fn a_server_that_runs_texts_together_is_not_believed() {
    let server = server(|_| Reply::json(200, r#"{"tokens":[1,2,3]}"#)).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let error = worker.token_counter().await.expect_err("they were not kept apart");
    assert_eq!(error.kind(), WorkerErrorKind::Protocol);
}
