//! The contract of a worker, on both routes.

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::testing::conformance::{Dialect, Ending, Refusal, Suite, Target};
use orchestrator_core::testing::server::{Reply, Request};
use orchestrator_core::token::{FinishReason, Usage};
use serde_json::{Value, json};
use workers_llamacpp::{LlamaCpp, Route};

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn piece(content: &str) -> Value {
    json!({"index": 0, "content": content, "tokens": [], "stop": false, "id_slot": -1, "tokens_predicted": 1,
        "tokens_evaluated": 3})
}

fn ending(ending: Ending) -> String {
    if ending.reason == FinishReason::ContentFilter {
        // The server has no filter; a gateway before it may.
        return event(&json!({"error": {"code": 400, "message": "filtered", "type": "content_filter"}}));
    }
    let stop = if ending.reason == FinishReason::Length { "limit" } else { "eos" };
    last(stop, ending.usage)
}

fn last(stop: &str, usage: Usage) -> String {
    event(&json!({"index": 0, "content": "", "tokens": [], "id_slot": 0, "stop": true, "stop_type": stop,
        "tokens_predicted": usage.completion_tokens, "tokens_evaluated": usage.prompt_tokens,
        "timings": {"cache_n": usage.cached_tokens}}))
}

fn side(request: &Request) -> Option<Reply> {
    match request.path() {
        "/props" => Some(Reply::json(200, r#"{"total_slots":2,"default_generation_settings":{"n_ctx":2048}}"#)),
        "/apply-template" => Some(Reply::json(200, r#"{"prompt":"<|user|>hello<|assistant|>"}"#)),
        "/metrics" | "/slots" => Some(Reply::json(501, error(501, "turned off", "not_supported_error"))),
        _ => None,
    }
}

/// Answers that were begun are gone on with by the native route.
fn begun(request: &Request) -> Option<Reply> {
    let reply = || {
        Reply::chunked(200, "text/event-stream")
            .chunk(event(&piece("more")) + &last("eos", Usage::new(3, 1)))
            .last_chunk()
    };
    (request.path() == "/completion").then(reply)
}

fn error(status: u16, message: &str, kind: &str) -> String {
    json!({"error": {"code": status, "message": message, "type": kind}}).to_string()
}

/// What llama.cpp says where it refuses.
fn refusals(dialect: Dialect) -> Dialect {
    let too_long = json!({"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 3001, "n_ctx": 2048,
        "message": "request (3001 tokens) exceeds the available context size (2048 tokens), try increasing it"}});
    let too_long_kind = Kind::ContextLength { prompt_tokens: Some(3001), limit: Some(2048) };
    let loading = error(503, "Loading model", "unavailable_error");
    let no_json = error(500, "[json.exception.parse_error.101] parse error", "server_error");
    dialect
        .refusal(Refusal::new("llama.cpp: context", 400, too_long.to_string(), too_long_kind))
        .refusal(Refusal::new("llama.cpp: loading", 503, loading, Kind::Overloaded))
        .refusal(Refusal::new("llama.cpp: failure", 500, no_json, Kind::Transient))
        .refusal(Refusal::new(
            "llama.cpp: field",
            400,
            error(400, "bad", "invalid_request_error"),
            Kind::InvalidRequest,
        ))
        .refusal(Refusal::new("llama.cpp: key", 401, error(401, "Invalid API Key", "authentication_error"), Kind::Auth))
        .refusal(Refusal::new("llama.cpp: route", 404, error(404, "File Not Found", "not_found_error"), Kind::NotFound))
}

fn native() -> Dialect {
    refusals(Dialect::new("text/event-stream", |text| event(&piece(text)), ending))
        .noise(format!(": ping\n\n{}", event(&piece(""))))
        .oversize(r#"data: {"index":0,"content":""#)
        .nonsense("data: {\"content\": 7, \"stop\": false}\n\n")
        .failure(
            event(&json!({"error": {"code": 500, "message": "it broke", "type": "server_error"}})),
            Kind::Transient,
        )
        .side(side)
}

fn worker(route: Route) -> impl Fn(Target) -> std::pin::Pin<Box<dyn Future<Output = LlamaCpp>>> {
    move |target| {
        Box::pin(async move {
            let builder = LlamaCpp::builder(target.base_url).key(target.key).timeouts(target.timeouts).route(route);
            builder.connect().await.expect("the scripted server is one")
        })
    }
}

#[tokio::test]
async fn the_native_route_keeps_the_contract() {
    Suite::new(native(), worker(Route::Native)).run().await.assert();
}

#[tokio::test]
async fn the_chat_route_keeps_the_contract() {
    let dialect = refusals(Dialect::openai_chat()).marker_optional(true).side(side).side(begun);
    Suite::new(dialect, worker(Route::Chat)).run().await.assert();
}
