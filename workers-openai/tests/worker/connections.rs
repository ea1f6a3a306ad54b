//! Connections are used again where that costs nobody anything.

use orchestrator_core::testing::server::{Outcome, Reply};
use orchestrator_core::worker::ModelWorker;
use workers_openai::OpenAi;

use crate::{ANSWER, answer, finish, inference, server};

#[tokio::test]
async fn an_answer_that_has_come_as_a_whole_leaves_its_connection_to_the_next() {
    let server = server(|_| {
        Reply::chunked(200, "text/event-stream").bytes(format!("{:x}\r\n{ANSWER}\r\n0\r\n\r\n", ANSWER.len()))
    })
    .await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    for _ in 0..5 {
        finish(&worker, inference("?".into())).await.expect("an answer");
    }
    // The first has one of its own: it is not known yet what the server is.
    assert_eq!(server.seen().connections.total, 2);
}

#[tokio::test]
async fn a_server_that_does_not_end_its_body_is_not_waited_for() {
    let server = server(|_| Reply::chunked(200, "text/event-stream").chunk(ANSWER).stall()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    finish(&worker, inference("?".into())).await.expect("an answer");
    let seen = server.wait_for("the client to leave", |seen| seen.is_idle() && seen.connections.now == 0).await;
    assert_eq!(seen.exchanges[0].outcome, Some(Outcome::ClientLeft));
}

#[tokio::test]
async fn clones_share_their_connections() {
    let server = server(|_| answer()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    finish(&worker.clone(), inference("?".into())).await.expect("an answer");
    assert!(worker.health().await.is_ready());
    finish(&worker, inference("?".into())).await.expect("an answer");
    assert_eq!(server.seen().connections.total, 2, "one for the first stream, one for what came behind it");
}
