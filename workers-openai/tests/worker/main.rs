//! The worker against a server that does what each test says.

mod build;
mod connections;
mod health;
mod requests;
mod slots;

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::request::{PromptRequest, RequestOptions};
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_core::token::{Finish, TokenEvent};
use orchestrator_core::worker::{InferenceRequest, ModelWorker};
use serde_json::Value;
use workers_openai::{OpenAi, OpenAiBuilder};

const ANSWER: &str =
    "data: {\"choices\":[{\"index\":0,\"text\":\"hi\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

async fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(script).await.expect("a port")
}

fn answer() -> Reply {
    Reply::full(200, &[("content-type", "text/event-stream")], ANSWER)
}

fn inference(prompt: PromptRequest) -> InferenceRequest {
    InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()))
}

async fn finish(worker: &OpenAi, request: InferenceRequest) -> Result<Finish, WorkerError> {
    let mut stream = worker.infer(request).await?;
    while let Some(event) = stream.next().await {
        if let TokenEvent::Finish(finish) = event? {
            return Ok(finish);
        }
    }
    Err(WorkerError::stream_cut())
}

/// The path and the body of what a worker sends.
async fn sent(builder: OpenAiBuilder, request: impl Into<InferenceRequest>) -> (String, Value) {
    let server = server(|_| answer()).await;
    let worker = builder.base_url(server.base_url()).build().expect("a worker");
    finish(&worker, request.into()).await.expect("an answer");
    let request = server.seen().exchanges[0].request.clone();
    (request.path().to_owned(), request.json())
}
