use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::testing::HeldClock;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_core::token::TokenCounter;
use orchestrator_core::worker::{HealthStatus, Load, ModelWorker};
use serde_json::{Value, json};
use workers_vllm::Vllm;

use crate::recorded::{self, builder, connect};

async fn scripted(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (ScriptedServer, Vllm) {
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = builder(&server).build().expect("well set");
    (server, worker)
}

#[tokio::test]
async fn connecting_tells_the_model_its_length_and_the_version() {
    let server = recorded::server_of("chat").await;
    let worker = Vllm::builder(format!("{}/v1", server.base_url())).name("box 1").connect().await.expect("connects");
    let info = worker.info();
    assert_eq!((info.name.as_str(), info.model.as_deref()), ("box 1", Some("tiny")));
    assert_eq!((info.context_length, info.continues), (Some(2048), true));
    assert_eq!(worker.version(), Some("0.32.0"));
    assert_eq!(connect(&server).await.info().name, "vllm");
}

#[tokio::test]
async fn a_model_that_the_server_does_not_have_is_not_found() {
    let server = recorded::server_of("chat").await;
    let error = builder(&server).model("other").connect().await.expect_err("no such model");
    assert_eq!(error.kind(), WorkerErrorKind::NotFound);
    assert!(error.to_string().contains("`other`"), "{error}");
}

#[tokio::test]
async fn an_adapter_has_the_length_of_its_model() {
    let models = json!({"data": [{"id": "base", "max_model_len": 4096}, {"id": "adapter", "max_model_len": null}]});
    let (server, _) = scripted(move |request| match request.path() {
        "/v1/models" => Reply::json(200, models.to_string()),
        _ => Reply::json(404, "{}"),
    })
    .await;
    let worker = builder(&server).model("adapter").connect().await.expect("connects");
    let info = worker.info();
    assert_eq!((info.model.as_deref(), info.context_length), (Some("adapter"), Some(4096)));
    assert_eq!(worker.version(), None);
}

#[tokio::test]
async fn settings_that_are_wrong_are_told_when_connecting() {
    let error = Vllm::connect("localhost:8000").await.expect_err("no URL");
    assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
    let why = std::error::Error::source(&error).expect("the faults").to_string();
    assert!(why.contains("base_url"), "{why}");
}

#[tokio::test]
async fn the_load_is_read_from_the_recorded_metrics() {
    let server = recorded::server_of("chat").await;
    let worker = builder(&server).slots(NonZeroUsize::new(4).expect("not zero")).build().expect("well set");
    let health = worker.health().await;
    assert!(health.is_ready());
    let mut expected = Load::default();
    (expected.running, expected.waiting, expected.slots) = (Some(0), Some(0), Some(4));
    expected.kv_cache_use = Some(0.0);
    (expected.prompt_tokens, expected.cached_tokens) = (Some(820), Some(0));
    assert_eq!(health.load, expected);
}

#[tokio::test]
async fn the_load_of_several_engines_is_told_as_one() {
    let metrics = concat!(
        "vllm:num_requests_running{engine=\"0\"} 3.0\n",
        "vllm:num_requests_running{engine=\"1\"} 2.0\n",
        "vllm:num_requests_waiting{engine=\"0\"} 7.0\n",
        "vllm:num_requests_waiting_by_reason{engine=\"0\",reason=\"capacity\"} 7.0\n",
        "vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n",
        "vllm:kv_cache_usage_perc{engine=\"1\"} 1.0\n",
        "vllm:prompt_tokens_total{engine=\"0\"} 100.0\n",
        "vllm:prefix_cache_hits_total{engine=\"0\"} 64.0\n",
    );
    let (_server, worker) = scripted(move |_| Reply::full(200, &[("content-type", "text/plain")], metrics)).await;
    let load = worker.health().await.load;
    assert_eq!((load.running, load.waiting, load.kv_cache_use), (Some(5), Some(7), Some(0.75)));
    assert_eq!((load.prompt_tokens, load.cached_tokens, load.slots), (Some(100), Some(64), None));
}

#[tokio::test]
async fn without_metrics_the_load_is_what_the_server_tracks() {
    for (tracked, running) in [(3, Some(3)), (0, None)] {
        let (_server, worker) = scripted(move |request| match request.path() {
            "/health" => Reply::full(200, &[], ""),
            "/load" => Reply::json(200, json!({"server_load": tracked}).to_string()),
            _ => Reply::json(404, r#"{"detail":"Not Found"}"#),
        })
        .await;
        let health = worker.health().await;
        assert_eq!((health.status, health.load.running), (HealthStatus::Ready, running));
    }
}

#[tokio::test]
async fn a_server_that_is_ill_or_gone_is_unavailable() {
    let (server, worker) = scripted(|_| Reply::json(503, "{}")).await;
    let health = worker.health().await;
    assert_eq!((health.status, health.load), (HealthStatus::Unavailable, Load::default()));
    drop(server);
    let health = worker.health().await;
    assert_eq!(health.status, HealthStatus::Unavailable);
    assert!(health.reason.is_some());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let (ready, unavailable) = ((HealthStatus::Ready, Some(1)), (HealthStatus::Unavailable, None));
    let cases: [(&[&str], _); 3] =
        [(&["/health"], unavailable), (&["/metrics"], ready), (&["/metrics", "/load"], (HealthStatus::Ready, None))];
    for (silent, expected) in cases {
        let (server, worker) = scripted(move |request| match request.path() {
            path if silent.contains(&path) => Reply::raw().stall(),
            "/load" => Reply::json(200, r#"{"server_load":1}"#),
            _ => Reply::full(200, &[], ""),
        })
        .await;
        let clock = HeldClock::pause();
        let asked = tokio::spawn(async move { worker.health().await });
        server.wait_for("all questions", |seen| seen.exchanges.len() == 3).await;
        clock.advance(Duration::from_secs(2)).await;
        drop(clock);
        tokio::time::resume();
        let health = tokio::time::timeout(Duration::from_secs(1), asked).await.expect("in time").expect("no panic");
        assert_eq!((health.status, health.load.running), expected);
    }
}

#[tokio::test]
async fn a_server_that_is_ill_is_told_without_waiting_for_its_load() {
    let (_server, worker) = scripted(|request| match request.path() {
        "/health" => Reply::json(503, "{}"),
        _ => Reply::raw().stall(),
    })
    .await;
    let health = tokio::time::timeout(Duration::from_secs(1), worker.health()).await.expect("at once");
    assert_eq!(health.status, HealthStatus::Unavailable);
}

#[tokio::test]
async fn tokens_are_counted_by_the_server() {
    let tokens = |request: &Request| {
        let words: Vec<_> = request.json()["prompt"].as_str().unwrap_or_default().split(' ').map(str::len).collect();
        Reply::json(200, json!({"tokens": words}).to_string())
    };
    let (server, worker) = scripted(tokens).await;
    let counts = worker.count(&["one two", "", "three", "a b c"]).await.expect("counted");
    assert_eq!(counts, [2, 0, 1, 3]);
    assert!(worker.is_exact());
    let seen = server.seen();
    let asked: Vec<Value> = seen.on("/tokenize").map(|exchange| exchange.request.json()).collect();
    assert_eq!(asked.len(), 3, "none for the empty text");
    assert!(asked.iter().all(|asked| asked["add_special_tokens"] == false), "{asked:?}");
}

#[tokio::test]
async fn tokens_that_cannot_be_counted_are_an_error() {
    let (_server, worker) = scripted(|_| Reply::json(404, r#"{"detail":"Not Found"}"#)).await;
    let error = worker.count(&["one"]).await.expect_err("no such route");
    assert_eq!(error.kind(), WorkerErrorKind::NotFound);
}
