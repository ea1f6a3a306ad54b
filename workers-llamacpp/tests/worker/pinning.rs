use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::Reply;
use serde_json::{Value, json};
use workers_llamacpp::LlamaCpp;

use super::{bodies, call, endless, finish, native, raw, server};

#[tokio::test]
async fn a_session_names_its_slot_on_both_routes() {
    let chat = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let chat = Reply::full(200, &[("content-type", "text/event-stream")], chat);
    let server = server(move |request| if request.path() == "/completion" { native(5) } else { chat.clone() }).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    for session in ["a", "b", "a", "b"] {
        finish(&worker, call(raw(), Some(session))).await.expect("an answer");
        finish(&worker, call(PromptRequest::new("?"), Some(session))).await.expect("an answer");
    }
    let seen = server.seen();
    let slots = |path| bodies(&seen, path).iter().map(|body| body["id_slot"].clone()).collect::<Vec<_>>();
    assert_eq!(slots("/completion"), [0, 1, 0, 1].map(Value::from));
    assert_eq!(slots("/completion"), slots("/v1/chat/completions"));
    for body in [bodies(&seen, "/completion"), bodies(&seen, "/v1/chat/completions")].concat() {
        assert_eq!((&body["cache_prompt"], &body["stream"]), (&json!(true), &json!(true)));
        assert_eq!(body["return_progress"], true, "else nobody notices while it evaluates that the reader has gone");
    }
}

#[tokio::test]
async fn a_dropped_stream_frees_its_place() {
    let server = server(|_| endless()).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    for _ in 0..5 {
        let mut stream = worker.infer(call(raw(), None)).await.expect("a stream");
        stream.next().await.expect("a token").expect("no error");
        let other = worker.infer(call(raw(), None)).await.expect("a stream");
        drop((stream, other));
    }
    let named = bodies(&server.seen(), "/completion");
    assert!(named.iter().all(|body| body["id_slot"].is_u64()), "{named:?}");
    assert!(named.chunks(2).all(|two| two[0]["id_slot"] != two[1]["id_slot"]));
}

#[tokio::test]
async fn more_than_there_are_slots_and_a_refused_call_name_none() {
    let server = server(|_| endless()).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(worker.infer(call(raw(), None)).await.expect("a stream"));
    }
    let named: Vec<bool> = bodies(&server.seen(), "/completion").iter().map(|body| body["id_slot"].is_u64()).collect();
    assert_eq!(named, [true, true, false]);
}

#[tokio::test]
async fn what_the_caller_says_of_slots_holds() {
    let server = server(|_| native(0)).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    finish(&worker, call(raw().vendor("id_slot", 7).vendor("cache_prompt", false), Some("a")))
        .await
        .expect("an answer");
    let free = LlamaCpp::builder(server.base_url()).pin_sessions(false).connect().await.expect("a worker");
    finish(&free, call(raw(), Some("a"))).await.expect("an answer");
    let bodies = bodies(&server.seen(), "/completion");
    assert_eq!((&bodies[0]["id_slot"], &bodies[0]["cache_prompt"]), (&json!(7), &json!(false)));
    assert_eq!((&bodies[1]["id_slot"], &bodies[1]["cache_prompt"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn a_server_where_nothing_is_found_again_is_left_to_itself() {
    let server = server(|_| native(0)).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    for _ in 0..6 {
        finish(&worker, call(raw(), Some("a"))).await.expect("an answer");
    }
    let named: Vec<bool> = bodies(&server.seen(), "/completion").iter().map(|body| body["id_slot"].is_u64()).collect();
    assert_eq!(named, [true, true, true, true, false, false]);
}

#[tokio::test]
async fn cached_tokens_are_told_on_the_chat_route_by_servers_that_have_them_among_the_timings_only() {
    let last = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1},"timings":{"cache_n":7}}"#;
    let events = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: {last}\n\ndata: [DONE]\n\n"
    );
    let server = server(move |_| Reply::full(200, &[("content-type", "text/event-stream")], &events)).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let usage = finish(&worker, call(PromptRequest::new("?"), None)).await.expect("an answer").usage;
    assert_eq!((usage.prompt_tokens, usage.cached_tokens), (9, 7));
}
