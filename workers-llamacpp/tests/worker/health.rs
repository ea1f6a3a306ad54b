use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use workers_llamacpp::LlamaCpp;

use super::{bodies, call, finish, native, raw, server};

const METRICS: &str = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\nllamacpp:prompt_tokens_total 30\n\
                       llamacpp:prompt_tokens_cached_total 12\n";

#[tokio::test]
async fn load_is_told_as_far_as_the_server_tells_it() {
    let off = || Reply::json(501, r#"{"error":{"code":501,"message":"off","type":"not_supported_error"}}"#);
    let slots =
        || Reply::json(200, r#"[{"id":0,"n_ctx":100,"is_processing":true,"n_prompt_tokens":40},{"id":1,"n_ctx":100}]"#);
    let metrics = || Reply::full(200, &[("content-type", "text/plain")], METRICS);
    let all = server(move |request| if request.path() == "/slots" { slots() } else { metrics() }).await;
    let load = LlamaCpp::connect(all.base_url()).await.expect("a worker").health().await.load;
    assert_eq!((load.running, load.waiting, load.slots), (Some(1), Some(2), Some(2)));
    assert_eq!((load.prompt_tokens, load.cached_tokens, load.kv_cache_use), (Some(42), Some(12), Some(0.2)));

    let none = server(move |_| off()).await;
    let health = LlamaCpp::connect(none.base_url()).await.expect("a worker").health().await;
    assert!(health.is_ready(), "{health:?}");
    assert_eq!((health.load.running, health.load.waiting, health.load.prompt_tokens), (None, None, None));
}

#[tokio::test]
async fn a_server_started_again_with_other_slots_is_taken_as_it_is() {
    let total = Arc::new(AtomicUsize::new(2));
    let told = total.clone();
    let script = move |request: &Request| match request.path() {
        "/props" => {
            let total = told.load(Ordering::Relaxed);
            Reply::json(200, format!(r#"{{"total_slots":{total},"model_alias":"with-{total}"}}"#))
        }
        "/completion" => native(3),
        _ => Reply::json(404, "{}"),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let slots = worker.slots().expect("slots");
    let taken = [slots.try_acquire().expect("free"), slots.try_acquire().expect("free")];
    total.store(1, Ordering::Relaxed);
    assert!(worker.health().await.is_ready());
    assert_eq!((slots.total(), worker.info().model.as_deref()), (1, Some("with-1")));
    drop(taken);
    assert_eq!(slots.free(), 1);
    for session in ["a", "b"] {
        finish(&worker, call(raw(), Some(session))).await.expect("an answer");
    }
    assert!(bodies(&server.seen(), "/completion").iter().all(|body| body["id_slot"] == 0), "there is one slot");
}

#[tokio::test]
async fn a_call_behind_a_failure_asks_first_what_the_server_is_now() {
    for failure in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE] {
        for path in ["/completion", "/v1/chat/completions"] {
            a_failure_is_followed_by_a_question(failure.as_u16(), path).await;
        }
    }
}

/// 200 is a stream that is cut.
async fn a_failure_is_followed_by_a_question(failure: u16, path: &'static str) {
    let total = Arc::new(AtomicUsize::new(2));
    let told = total.clone();
    let script = move |request: &Request| match (request.path(), told.load(Ordering::Relaxed)) {
        ("/props", total) => Reply::json(200, format!(r#"{{"total_slots":{total},"model_alias":"with-{total}"}}"#)),
        (failing, 2) if failing == path && failure == 200 => Reply::chunked(200, "text/event-stream").close(),
        (failing, 2) if failing == path => Reply::json(failure, r#"{"error":{"message":"it ends"}}"#),
        _ => native(3),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let asked = || server.seen().on("/props").count();
    let failing = if path == "/completion" { raw() } else { PromptRequest::new("?") };
    finish(&worker, call(failing, None)).await.expect_err("it fails");
    assert_eq!(asked(), 1);
    for slots in [5, 1] {
        total.store(slots, Ordering::Relaxed);
        worker.infer(call(raw(), None)).await.expect("an answer");
    }
    let now = (worker.slots().expect("slots").total(), worker.info().model);
    assert_eq!((now, asked()), ((5, Some("with-5".to_owned())), 2), "{failure} on {path}: nothing was wrong any more");
}

#[tokio::test]
async fn a_server_that_loads_again_or_is_gone_is_not_ready() {
    let loads = Arc::new(AtomicUsize::new(0));
    let now = loads.clone();
    let script = move |_: &Request| match now.load(Ordering::Relaxed) {
        0 => Reply::json(200, super::PROPS),
        _ => Reply::json(503, r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    loads.store(1, Ordering::Relaxed);
    let health = worker.health().await;
    assert!(!health.is_ready() && health.reason.is_some_and(|reason| reason.contains("Loading model")));
    drop(server);
    assert!(!worker.health().await.is_ready());
    assert_eq!(worker.slots().expect("slots").total(), 2, "what is not known any more stays as it was");
}
