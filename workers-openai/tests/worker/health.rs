//! What it says of its server's health.

use orchestrator_core::testing::HeldClock;
use orchestrator_core::testing::server::Reply;
use orchestrator_core::worker::{Health, HealthStatus, ModelWorker};
use workers_openai::{OpenAi, Preset};

use crate::server;

async fn health(reply: Reply) -> Health {
    let server = server(move |_| reply.clone()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).key("sk-secret").build().expect("a worker");
    worker.health().await
}

#[tokio::test]
async fn a_server_that_lists_its_models_is_ready() {
    let server = server(|_| Reply::json(200, r#"{"data":[]}"#)).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    assert!(worker.health().await.is_ready());
    assert_eq!(server.seen().exchanges[0].request.path(), "/v1/models");
}

#[tokio::test]
async fn openrouter_is_asked_whether_the_key_holds() {
    let server = server(|_| Reply::json(200, "{}")).await;
    let url = server.base_url() + "/api/v1";
    let worker = OpenAi::builder().preset(Preset::OpenRouter).base_url(url).build().expect("a worker");
    assert!(worker.health().await.is_ready());
    assert_eq!(server.seen().exchanges[0].request.path(), "/api/v1/key");
}

#[tokio::test]
async fn one_that_refuses_or_breaks_is_unavailable_and_says_why() {
    for (reply, why) in [
        (Reply::json(401, r#"{"error":"no such key: sk-secret"}"#), "401: no such key: [key]"),
        (Reply::json(503, r#"{"error":{"message":"Loading model"}}"#), "503: Loading model"),
        (Reply::raw().close(), "the connection broke before an answer came"),
    ] {
        let health = health(reply).await;
        assert_eq!(health.status, HealthStatus::Unavailable);
        let reason = health.reason.expect("a reason");
        assert!(reason.ends_with(why), "{reason}");
    }
}

#[tokio::test]
async fn one_without_that_route_says_nothing_by_it() {
    for status in [403, 404, 405, 501] {
        assert_eq!(health(Reply::json(status, "{}")).await, Health::unknown(), "{status}");
    }
}

#[tokio::test]
async fn one_that_has_had_enough_requests_is_there() {
    assert!(health(Reply::json(429, "{}")).await.is_ready());
    let without_means = r#"{"error":{"message":"pay","type":"insufficient_quota"}}"#;
    assert_eq!(health(Reply::json(429, without_means)).await.status, HealthStatus::Unavailable);
}

#[tokio::test]
async fn one_that_says_nothing_is_unavailable_after_five_seconds() {
    let server = server(|_| Reply::raw().stall()).await;
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    let clock = HeldClock::pause();
    let asked = tokio::spawn(async move { worker.health().await });
    while server.seen().exchanges.is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(std::time::Duration::from_secs(5)).await;
    let health = asked.await.expect("no panic");
    assert_eq!(health.reason.as_deref(), Some("no answer within 5s"));
}
