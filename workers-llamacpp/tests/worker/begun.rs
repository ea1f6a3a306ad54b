use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::request::Image;
use orchestrator_core::testing::server::Reply;
use orchestrator_core::worker::Prefix;
use serde_json::json;
use workers_llamacpp::{LlamaCpp, Route};

use super::{bodies, call, finish, native, raw, server};

#[tokio::test]
async fn what_there_is_of_an_answer_stands_behind_the_prompt() {
    let server = server(|request| match request.path() {
        "/apply-template" => Reply::json(200, r#"{"prompt":"<user>?<model>"}"#),
        _ => native(0),
    })
    .await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let by_ids = || Prefix::new("so far").token_ids(vec![5, 4_000_000_000]);
    for (prompt, prefix) in [
        (raw(), Prefix::new("so far")),
        (raw(), by_ids()),
        (PromptRequest::new("?"), Prefix::new("so far")),
        (PromptRequest::new("?").vendor("chat_template_kwargs", json!({"thinking": false})), by_ids()),
    ] {
        let mut request = call(prompt, None);
        request.prefix = Some(prefix);
        finish(&worker, request).await.expect("an answer");
    }
    let seen = server.seen();
    let prompts: Vec<_> = bodies(&seen, "/completion").into_iter().map(|body| body["prompt"].clone()).collect();
    let expected = [
        json!("?so far"),
        json!(["?", 5, 4_000_000_000_u32]),
        json!("<user>?<model>so far"),
        json!(["<user>?<model>", 5, 4_000_000_000_u32]),
    ];
    assert_eq!(prompts, expected);
    let asked = bodies(&seen, "/apply-template").pop().expect("it was asked for a prompt");
    let messages = json!([{"role": "user", "content": "?"}]);
    assert_eq!(asked, json!({"messages": messages, "chat_template_kwargs": {"thinking": false}}));
}

#[tokio::test]
async fn a_text_is_not_made_part_of_what_the_model_thinks() {
    let server = server(|request| match request.path() {
        "/apply-template" => Reply::json(200, r#"{"prompt":"<user>?<model><think>\n"}"#),
        _ => native(0),
    })
    .await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let begun = |prefix| {
        let mut request = call(PromptRequest::new("?"), None);
        request.prefix = Some(prefix);
        request
    };
    let error = finish(&worker, begun(Prefix::new("so far"))).await.expect_err("it thinks first");
    assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
    assert_eq!(server.seen().on("/completion").count(), 0);
    for prefix in [Prefix::new("so far").token_ids(vec![5]), Prefix::new("hm</think>so far")] {
        finish(&worker, begun(prefix)).await.expect("an answer");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anybody_is_asked() {
    let server = server(|_| native(0)).await;
    let worker = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await.expect("a worker");
    let before = server.seen().exchanges.len();
    let picture =
        PromptRequest::from_messages([Message::user("what is it?").part(Image::new("data:image/png;base64,AA"))]);
    for prompt in [picture, raw().vendor("n", 2)] {
        let error = worker.infer(call(prompt, None)).await.expect_err("it cannot");
        assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
    }
    assert_eq!(server.seen().exchanges.len(), before);
}
