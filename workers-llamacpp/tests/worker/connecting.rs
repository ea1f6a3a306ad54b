use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use workers_llamacpp::LlamaCpp;

use super::{PROPS, server};

const LOADING: &str = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;

#[tokio::test]
async fn a_server_that_loads_is_waited_for() {
    let asked = AtomicUsize::new(0);
    let script = move |_: &_| match asked.fetch_add(1, Ordering::Relaxed) {
        0..2 => Reply::json(503, LOADING),
        _ => Reply::json(200, PROPS),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = LlamaCpp::connect(server.base_url()).await.expect("it is ready in the end");
    assert_eq!(worker.slots().expect("slots").total(), 2);
    let info = WorkerInfo::new("llama.cpp").model("tiny").context_length(2048).continues();
    assert_eq!(worker.info(), info);
    assert_eq!(server.seen().exchanges.len(), 3);
}

#[tokio::test]
async fn a_server_that_loads_for_too_long_is_given_up() {
    let server = ScriptedServer::start(|_| Reply::json(503, LOADING)).await.expect("a port");
    let limit = Duration::from_millis(120);
    let error = LlamaCpp::builder(server.base_url()).loading_timeout(limit).connect().await.expect_err("it loads");
    assert_eq!((error.kind(), error.status()), (WorkerErrorKind::Overloaded, Some(503)));
    assert!(error.to_string().contains("Loading model"), "{error}");
}

#[tokio::test]
async fn what_is_no_such_server_is_told_apart() {
    let props = [r#"{"total_slots":0}"#, r#"{"total_slots":99999999999}"#, "{}"];
    for props in props {
        let server = ScriptedServer::start(move |_| Reply::json(200, props)).await.expect("a port");
        let error = LlamaCpp::connect(server.base_url()).await.expect_err("it has no slots");
        assert_eq!(error.kind(), WorkerErrorKind::Protocol, "{props}");
    }
    let server = ScriptedServer::start(|_| Reply::json(404, "{}")).await.expect("a port");
    let error = LlamaCpp::connect(server.base_url()).await.expect_err("it has no such route");
    assert_eq!(error.kind(), WorkerErrorKind::NotFound);
    let gone = server.base_url();
    drop(server);
    let error = LlamaCpp::connect(gone).await.expect_err("nobody is there");
    assert_eq!(error.kind(), WorkerErrorKind::Transient);
}

#[tokio::test]
async fn all_wrong_settings_are_told_at_once() {
    let builder = LlamaCpp::builder("localhost").name(" ").header("X-CONVERSATION-ID", "secret-7").key("a\nb");
    let error = builder.connect().await.expect_err("four faults");
    assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
    for field in ["base_url", "name", "header", "key"] {
        assert!(error.to_string().contains(field), "{field}: {error}");
    }
    assert!(!format!("{error} {error:?}").contains("secret-7"));
}

#[tokio::test]
async fn the_base_url_may_be_that_of_the_openai_api() {
    let server = server(|_| super::native(0)).await;
    let one = LlamaCpp::connect(format!("{}/v1/", server.base_url())).await.expect("it is the same");
    let other = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let slot = one.slots().expect("slots").try_acquire().expect("free");
    assert_eq!(other.slots().expect("slots").free(), 1, "both are of one server");
    drop(slot);
}
