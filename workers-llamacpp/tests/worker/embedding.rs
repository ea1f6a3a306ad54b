use futures_util::future::join;
use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Outcome, Reply, Signal};
use workers_llamacpp::LlamaCpp;

use super::{bodies, server};

const VECTOR: &str = r#"{"data":[{"index":0,"embedding":[0.5,-1]}]}"#;

fn vector() -> Reply {
    Reply::json(200, VECTOR)
}

#[tokio::test]
async fn texts_go_one_by_one_whoever_sends_them() {
    let server = server(|_| vector()).await;
    let one = LlamaCpp::connect(server.base_url()).await.expect("a worker").embedder();
    let other = LlamaCpp::connect(server.base_url()).await.expect("a worker").embedder();
    let (one, other) = join(one.embed(&["a", "b", "c"]), other.embed(&["d", "e", "f"])).await;
    assert_eq!((one.expect("vectors").len(), other.expect("vectors")[2].as_slice()), (3, &[0.5, -1.0][..]));
    let seen = server.seen();
    assert_eq!((seen.on("/v1/embeddings").count(), seen.in_flight.most), (6, 1));
    assert!(bodies(&seen, "/v1/embeddings").iter().all(|body| body["input"].is_string() && body["model"] == "tiny"));
}

#[tokio::test]
async fn a_text_waits_for_a_slot() {
    let server = server(|_| vector()).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let slots = worker.slots().expect("slots");
    let taken = [slots.try_acquire().expect("free"), slots.try_acquire().expect("free")];
    let embedder = worker.embedder();
    let mut embedding = std::pin::pin!(embedder.embed_query("a"));
    assert!(futures_util::poll!(&mut embedding).is_pending());
    assert_eq!(server.seen().on("/v1/embeddings").count(), 0);
    drop(taken);
    assert_eq!(embedding.await.expect("a vector"), [0.5, -1.0]);
    assert_eq!(slots.free(), 2);
}

#[tokio::test]
async fn a_text_whose_caller_has_gone_keeps_slot_and_turn_until_the_server_has_answered() {
    let signal = Signal::new();
    let answered = signal.clone();
    let server = server(move |request| match &request.json()["input"] {
        input if *input == "left" => {
            Reply::chunked(200, "application/json").until(&answered).chunk(VECTOR).last_chunk()
        }
        _ => vector(),
    })
    .await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let left = worker.embedder();
    let left = tokio::spawn(async move { left.embed_query("left").await });
    server.wait_for("the text", |seen| seen.on("/v1/embeddings").count() == 1).await;
    left.abort();
    assert!(left.await.expect_err("nobody waits for it").is_cancelled());

    let slots = worker.slots().expect("slots");
    let embedder = worker.embedder();
    let mut next = std::pin::pin!(embedder.embed_query("next"));
    assert!(futures_util::poll!(&mut next).is_pending());
    assert_eq!((slots.free(), server.seen().on("/v1/embeddings").count()), (1, 1));
    signal.raise();
    next.await.expect("a vector");
    let seen = server.seen();
    assert_eq!((seen.on("/v1/embeddings").count(), seen.in_flight.most, slots.free()), (2, 1, 2));
    let first = seen.on("/v1/embeddings").next().expect("it came");
    assert_eq!(first.outcome, Some(Outcome::Answered), "the connection was closed");
}

#[tokio::test]
async fn an_answer_without_a_vector_is_an_error() {
    let server = server(|_| Reply::json(200, r#"{"data":[]}"#)).await;
    let embedder = LlamaCpp::connect(server.base_url()).await.expect("a worker").embedder();
    assert_eq!(embedder.embed(&["a"]).await.expect_err("none").kind(), WorkerErrorKind::Protocol);
}
