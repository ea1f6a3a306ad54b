//! Signals: what runs is finished, and nobody is left without an answer.

use orchestrator_core::testing::server::{Reply, ScriptedServer, Signal as Raised};
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend;
use crate::process::{PATIENCE, Served, folder};

/// Requests under way when the signal comes.
const RUNNING: usize = 24;

#[tokio::test]
async fn a_signal_under_load_lets_what_runs_finish_and_refuses_the_rest() {
    let go = Raised::new();
    let backend = backend::start("one", &go).await;
    let mut served = Served::start(&folder(&[]), &["--backend", &backend.base_url()], &[]).await;
    let mut running = JoinSet::new();
    for number in 0..RUNNING {
        let request = served.chat("one", number % 2 == 0);
        running.spawn(async move { request.send().await.expect("a response").text().await.expect("a whole body") });
    }
    backend.wait_for("all requests are there", |seen| seen.on("/v1/chat/completions").count() == RUNNING).await;
    served.signal(Signal::TERM);
    served.line("ending").await;
    timeout(PATIENCE, served.until_unready()).await.expect("it says that it ends");

    // Until the last one is finished, whoever asks is told so.
    assert_eq!(served.get("/v1/models").await.status(), 503);
    let refused = served.chat("one", true).send().await.expect("a response");
    assert!(refused.status() == 503 && refused.headers().contains_key("retry-after"), "{refused:?}");
    go.raise();
    while let Some(body) = running.join_next().await {
        let body = body.expect("no panic");
        let is_whole = body.ends_with("data: [DONE]\n\n") || body.contains("the backup battery");
        assert!(is_whole, "{body}");
    }
    let ended = served.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
}

#[tokio::test]
async fn whoever_is_not_finished_after_the_grace_period_is_told_so() {
    let backend = backend::start("one", &Raised::new()).await;
    let environment = [("ORCHESTRATOR_LIMITS__GRACE", "100ms")];
    let served = Served::start(&folder(&[]), &["--backend", &backend.base_url()], &environment).await;
    let mut response = served.chat("one", true).send().await.expect("a response");
    let begun = response.chunk().await.expect("a body").expect("the answer has begun");
    served.signal(Signal::TERM);
    let mut rest = String::from_utf8(begun.to_vec()).expect("text");
    while let Some(more) = timeout(PATIENCE, response.chunk()).await.expect("it ends").expect("a body") {
        rest.push_str(std::str::from_utf8(&more).expect("text"));
    }
    assert!(rest.contains("\"error\"") && !rest.contains("\"stop\""), "{rest}");
    assert_eq!(served.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let backend = backend::start("one", &Raised::new()).await;
    let mut served = Served::start(&folder(&[]), &["--backend", &backend.base_url()], &[]).await;
    let mut response = served.chat("one", true).send().await.expect("a response");
    response.chunk().await.expect("a body").expect("the answer has begun");
    served.signal(Signal::INT);
    served.line("ending").await;
    served.signal(Signal::INT);
    let ended = served.ended().await;
    assert!(ended.status.code() == Some(1) && ended.err.contains("before all requests"), "{}", ended.err);
}

#[tokio::test]
async fn a_signal_during_the_start_ends_it() {
    let silent = ScriptedServer::start(|_| Reply::raw().stall()).await.expect("a server");
    let served = Served::begin(&folder(&[]), &["--backend", &silent.base_url()], &[]);
    silent.wait_for("it is asked what it is", |seen| !seen.exchanges.is_empty()).await;
    served.signal(Signal::TERM);
    let ended = served.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(!ended.err.contains("listening"), "{}", ended.err);
}

#[tokio::test]
async fn where_logs_are_json_everything_is() {
    let broken = ScriptedServer::start(|_| Reply::json(503, "{}")).await.expect("a server");
    let environment = [("ORCHESTRATOR_TELEMETRY__LOGS", "json")];
    let mut served = Served::begin(&folder(&[]), &["--backend", &broken.base_url()], &environment);
    served.line("\"listening\"").await;
    served.signal(Signal::TERM);
    let ended = served.ended().await;
    assert!(
        ended.status.success() && ended.err.contains("asked again") && ended.err.contains("ending"),
        "{}",
        ended.err
    );
    for line in ended.err.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
