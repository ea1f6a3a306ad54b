//! Reading a token of an answer allocates nothing: neither where its frame is parsed, nor where only its text is new.

use std::alloc::System;

use orchestrator_core::context::Context;
use orchestrator_core::request::{PromptRequest, RequestOptions};
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use orchestrator_core::worker::{InferenceRequest, ModelWorker};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use workers_openai::OpenAi;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOKENS: usize = 40;

/// Allocations while the tokens of an answer are read that has come already.
async fn allocations(frame: fn(usize) -> String) -> usize {
    let events: String = (0..TOKENS).map(|token| format!("data: {}\n\n", frame(token))).collect();
    let body = events + "data: [DONE]\n\n";
    let server = ScriptedServer::start(move |_| Reply::full(200, &[("content-type", "text/event-stream")], &body));
    let server = server.await.expect("a port");
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    let request = InferenceRequest::new(PromptRequest::new("?"), Context::standalone(RequestOptions::new()));
    let mut stream = worker.infer(request).await.expect("an answer");
    let mut next = async || assert!(!stream.next().await.expect("an event").expect("text").text().is_empty());
    next().await;
    let region = Region::new(ALLOCATOR);
    for _ in 1..TOKENS {
        next().await;
    }
    region.change().allocations
}

#[test]
fn a_token_allocates_nothing() {
    let frames: [fn(usize) -> String; 2] = [
        |_| r#"{"choices":[{"delta":{"content":" word"}}]}"#.to_owned(),
        |token| format!(r#"{{"choices":[{{"delta":{{"content":" word"}}}}],"created":{token}}}"#),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for frame in frames {
        // The test harness has threads that allocate as well, so one quiet go of several will do.
        let counts: Vec<usize> = (0..5).map(|_| runtime.block_on(allocations(frame))).collect();
        // A frame that is longer than those before may enlarge what is kept of it.
        assert!(counts.iter().any(|count| *count <= 2), "{counts:?}");
    }
}
