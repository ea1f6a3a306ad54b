//! The worker against a server that does what each test says.

mod begun;
mod connecting;
mod counting;
mod embedding;
mod headers;
mod health;
mod pinning;
mod pulse;

use orchestrator_core::error::WorkerError;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer, Seen};
use orchestrator_core::token::Finish;
use serde_json::Value;

const PROPS: &str = r#"{"total_slots":2,"model_alias":"tiny","default_generation_settings":{"n_ctx":2048}}"#;

/// A server of two slots, and what it answers beside its properties.
async fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    let script = move |request: &Request| match request.path() {
        "/props" => Reply::json(200, PROPS),
        _ => script(request),
    };
    ScriptedServer::start(script).await.expect("a port")
}

/// A whole answer of the native route.
fn native(cached: u64) -> Reply {
    let last = format!(
        r#"{{"content":"","stop":true,"stop_type":"eos","tokens_evaluated":9,"timings":{{"cache_n":{cached}}}}}"#
    );
    let events = format!("data: {{\"content\":\"hi\",\"stop\":false}}\n\ndata: {last}\n\n");
    Reply::full(200, &[("content-type", "text/event-stream")], events)
}

/// A native answer that begins and does not end.
fn endless() -> Reply {
    Reply::chunked(200, "text/event-stream").chunk("data: {\"content\":\"hi\",\"stop\":false}\n\n").stall()
}

fn call(prompt: PromptRequest, session: Option<&str>) -> InferenceRequest {
    let options = session.into_iter().fold(RequestOptions::new(), |options, session| options.session(session));
    InferenceRequest::new(prompt, Context::standalone(options))
}

fn raw() -> PromptRequest {
    PromptRequest::raw("?")
}

async fn finish(worker: &impl ModelWorker, request: InferenceRequest) -> Result<Finish, WorkerError> {
    let mut stream = worker.infer(request).await?;
    while let Some(event) = stream.next().await {
        if let TokenEvent::Finish(finish) = event? {
            return Ok(finish);
        }
    }
    Err(WorkerError::stream_cut())
}

/// The bodies that came to a path, in order.
fn bodies(seen: &Seen, path: &str) -> Vec<Value> {
    seen.on(path).map(|exchange| exchange.request.json()).collect()
}
