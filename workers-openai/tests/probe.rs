//! What kind of server answers, by what real servers say.

#[path = "common/traces.rs"]
mod traces;

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use workers_openai::probe::{ServerKind, probe};

async fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(script).await.expect("a port")
}

/// Answers on some routes, and is at a loss on others.
async fn kind(routes: &'static [(&str, &str)]) -> ServerKind {
    let server = server(move |request| {
        let known = routes.iter().find(|(path, _)| *path == request.path());
        known.map_or_else(|| Reply::json(404, "{}"), |(_, body)| Reply::json(200, body))
    })
    .await;
    let [bare, versioned] = ["", "/v1/"].map(|path| server.base_url() + path);
    let kind = probe(&bare, None).await.expect("a kind");
    assert_eq!(probe(&versioned, None).await.expect("a kind"), kind);
    kind
}

#[tokio::test]
async fn llama_cpp_is_known_by_who_serves_and_by_its_models_and_by_its_slots() {
    let serves = server(|_| Reply::full(200, &[("server", "llama.cpp")], "{}")).await;
    assert_eq!(probe(&serves.base_url(), None).await.expect("a kind"), ServerKind::LlamaCpp);
    let recorded = traces::load("llamacpp/models").response();
    let models = server(move |_| Reply::json(200, &recorded)).await;
    assert_eq!(probe(&models.base_url(), None).await.expect("a kind"), ServerKind::LlamaCpp);
    let slots = kind(&[("/v1/models", r#"{"data":[]}"#), ("/props", r#"{"total_slots":2}"#)]).await;
    assert_eq!(slots, ServerKind::LlamaCpp);
}

#[tokio::test]
async fn vllm_is_known_by_the_owner_of_its_models() {
    let recorded = traces::load("vllm/models").response();
    let models = server(move |_| Reply::json(200, &recorded)).await;
    assert_eq!(probe(&models.base_url(), None).await.expect("a kind"), ServerKind::Vllm);
}

#[tokio::test]
async fn ollama_and_tgi_are_known_by_routes_of_their_own() {
    let ollama = kind(&[("/v1/models", r#"{"data":null}"#), ("/api/version", r#"{"version":"0.12.0"}"#)]).await;
    let library = kind(&[
        ("/v1/models", r#"{"object":"list","data":[{"id":"x","owned_by":"library"}]}"#),
        ("/api/version", r#"{"version":"0.12.0"}"#),
    ])
    .await;
    assert_eq!([ollama, library], [ServerKind::Ollama; 2]);
    assert_eq!(kind(&[("/info", r#"{"model_id":"x","max_total_tokens":2048}"#)]).await, ServerKind::Tgi);
}

#[tokio::test]
async fn anything_else_that_lists_models_speaks_openais_api() {
    assert_eq!(kind(&[("/v1/models", r#"{"data":[{"id":"gpt","owned_by":"openai"}]}"#)]).await, ServerKind::OpenAi);
}

#[tokio::test]
async fn what_cannot_be_known_is_told() {
    let nothing = server(|_| Reply::json(404, "{}")).await;
    let page = server(|_| Reply::full(200, &[("content-type", "text/html")], "<html>")).await;
    let closed = server(|_| Reply::json(401, r#"{"error":"who are you"}"#)).await;
    let loading = server(|_| Reply::json(503, r#"{"error":{"message":"Loading model"}}"#)).await;
    for (server, kind) in
        [(nothing, Kind::NotFound), (page, Kind::NotFound), (closed, Kind::Auth), (loading, Kind::Overloaded)]
    {
        assert_eq!(probe(&server.base_url(), None).await.expect_err("unknown").kind(), kind);
    }
    assert_eq!(probe("nowhere", None).await.expect_err("no URL").kind(), Kind::InvalidRequest);
}

#[tokio::test]
async fn the_key_is_sent_to_every_route() {
    let server = server(|request| match request.path() {
        "/v1/models" => Reply::json(200, r#"{"data":[]}"#),
        _ => Reply::json(404, "{}"),
    })
    .await;
    probe(&server.base_url(), Some("sk-secret".into())).await.expect("a kind");
    let seen = server.seen();
    assert_eq!(seen.exchanges.len(), 4);
    assert!(seen.exchanges.iter().all(|exchange| exchange.request.header("authorization") == Some("Bearer sk-secret")));
}
