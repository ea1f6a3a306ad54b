//! A token of the native route costs no allocation.

use std::alloc::System;

use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Outcome, Reply, Request, ScriptedServer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use workers_llamacpp::LlamaCpp;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TOKENS: usize = 2000;

fn answer(request: &Request) -> Reply {
    if request.path() == "/props" {
        return Reply::json(200, r#"{"total_slots":1}"#);
    }
    let mut events = String::new();
    for number in 1..=TOKENS {
        let piece = format!(
            r#"{{"index":0,"content":" word","tokens":[{number}],"stop":false,"id_slot":-1,"tokens_predicted":{number},"tokens_evaluated":6}}"#
        );
        events.push_str(&format!("data: {piece}\n\n"));
    }
    events.push_str("data: {\"content\":\"\",\"stop\":true,\"stop_type\":\"eos\"}\n\n");
    Reply::full(200, &[("content-type", "text/event-stream")], events)
}

#[tokio::test]
async fn a_token_costs_no_allocation() {
    let server = ScriptedServer::start(answer).await.expect("a port");
    let worker = LlamaCpp::connect(server.base_url()).await.expect("a worker");
    let call = InferenceRequest::new(PromptRequest::raw("?"), Context::standalone(RequestOptions::new()));
    let mut stream = worker.infer(call).await.expect("a stream");
    stream.next().await.expect("a token").expect("no error");
    // Nothing else runs any more: the whole answer is on its way.
    server
        .wait_for("the answer", |seen| seen.on("/completion").any(|call| call.outcome == Some(Outcome::Answered)))
        .await;

    let region = Region::new(GLOBAL);
    let mut tokens = 1;
    while let Some(event) = stream.next().await {
        match event.expect("no error") {
            TokenEvent::Text(delta) => {
                tokens += 1;
                assert_eq!((delta.token_ids().len(), delta.raw().is_some()), (1, true));
            }
            _ => break,
        }
    }
    let spent = region.change();
    assert_eq!(tokens, TOKENS);
    // Some for each buffer that is read off the connection.
    assert!(spent.allocations * 10 < TOKENS, "{} allocations for {TOKENS} tokens", spent.allocations);
}
