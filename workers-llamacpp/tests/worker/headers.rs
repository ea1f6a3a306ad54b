use http::HeaderMap;
use orchestrator_core::testing::server::Reply;
use workers_llamacpp::LlamaCpp;

use super::{call, finish, native, raw, server};

#[tokio::test]
async fn a_conversation_id_goes_nowhere() {
    let server = server(|_| native(0)).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let prompt = raw().metadata("X-Conversation-Id", "c").vendor("X-Conversation-Id", "c");
    finish(&worker, call(prompt, Some("c"))).await.expect("an answer");
    assert!(server.seen().exchanges.iter().all(|exchange| exchange.request.header("x-conversation-id").is_none()));
}

#[tokio::test]
async fn one_of_a_client_of_the_callers_own_is_overruled() {
    let server = server(|_| native(0)).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-conversation-id", "c".parse().expect("a value"));
    let client = reqwest::Client::builder().default_headers(headers).build().expect("a client");
    let worker = LlamaCpp::builder(server.base_url()).http_client(client).connect().await.expect("a worker");
    finish(&worker, call(raw(), None)).await.expect("an answer");
    let seen = server.seen();
    let answer = seen.on("/completion").next().expect("it was asked");
    assert_eq!(answer.request.header("x-conversation-id"), Some(""), "which the server takes for none");
}

#[tokio::test]
async fn connections_end_with_their_stream_and_serve_other_questions_again() {
    let server = server(|request| match request.path() {
        "/tokenize" => Reply::json(200, r#"{"tokens":[-1]}"#),
        "/apply-template" => Reply::json(200, r#"{"prompt":""}"#),
        _ => native(0),
    })
    .await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    for _ in 0..3 {
        finish(&worker, call(raw(), None)).await.expect("an answer");
    }
    let seen = server.wait_for("closed connections", |seen| seen.connections.now <= 1).await;
    assert!(seen.on("/completion").all(|exchange| exchange.request.header("connection") == Some("close")));
    let before = seen.connections.total;
    for _ in 0..3 {
        worker.token_counter().await.expect("it counts");
    }
    assert!(server.seen().connections.total <= before + 1);
}

#[tokio::test]
async fn a_key_shows_nowhere() {
    let server = server(|_| native(0)).await;
    let builder = LlamaCpp::builder(server.base_url()).key("secret-key-1").header("x-api-key", "secret-key-2");
    assert!(!format!("{builder:?}").contains("secret"));
    let worker = builder.connect().await.expect("a worker");
    assert!(!format!("{worker:?} {:?}", worker.embedder()).contains("secret-key"));
    let seen = server.seen();
    assert_eq!(seen.exchanges[0].request.header("authorization"), Some("Bearer secret-key-1"));
    assert_eq!(seen.exchanges[0].request.header("x-api-key"), Some("secret-key-2"));
}
