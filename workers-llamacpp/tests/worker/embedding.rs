use futures_util::future::join;
use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::Reply;
use workers_llamacpp::LlamaCpp;

use super::{bodies, server};

fn vector() -> Reply {
    Reply::json(200, r#"{"data":[{"index":0,"embedding":[0.5,-1]}]}"#)
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
async fn an_answer_without_a_vector_is_an_error() {
    let server = server(|_| Reply::json(200, r#"{"data":[]}"#)).await;
    let embedder = LlamaCpp::connect(server.base_url()).await.expect("a worker").embedder();
    assert_eq!(embedder.embed(&["a"]).await.expect_err("none").kind(), WorkerErrorKind::Protocol);
}
