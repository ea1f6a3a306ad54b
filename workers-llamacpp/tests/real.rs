//! Against the genuine server.

use std::process::ExitCode;

use futures_util::StreamExt;
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Suite, TestResult};
use workers_llamacpp::LlamaCpp;

fn main() -> ExitCode {
    Suite::new("llamacpp", LlamaServer::missing(), || LlamaServer::builder().start()).test("answers", answers).run()
}

async fn answers(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    println!("{worker:?} {:?} {:?}", worker.info(), worker.health().await);
    for prompt in [
        PromptRequest::raw("the quick brown fox").vendor("n_predict", 24).temperature(0.0),
        PromptRequest::new("hello").vendor("max_tokens", 5).session("s"),
    ] {
        let mut stream = worker
            .infer(InferenceRequest::new(prompt.clone(), Context::standalone(RequestOptions::new().session("s"))))
            .await?;
        while let Some(event) = stream.next().await {
            println!("{:?}", event?);
        }
    }
    let counter = worker.token_counter().await?;
    println!("{:?} {:?}", counter, counter.count(&["the quick brown fox", "", "x y"]).await?);
    println!("{:?}", worker.embedder().embed(&["a", "b"]).await);
    Ok(())
}
