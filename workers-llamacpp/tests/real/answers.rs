use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::conformance;
use serde_json::Value;
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::wire::{DetokenizeRequest, DetokenizeResponse};
use workers_llamacpp::{LlamaCpp, Route};
use workers_openai::OpenAi;

use crate::rig::{FOX, GREEDY, ask, call, client, greedy};

#[path = "../../../workers-openai/tests/common/traces.rs"]
mod traces;

pub(crate) async fn greedy_tokens_are_those_recorded(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let answer = ask(&worker, call(greedy(PromptRequest::raw(FOX), 24), None)).await?;
    assert_eq!(answer.finish.usage.completion_tokens, 24);
    // Those whose bytes waited for others have no id of their own.
    assert_eq!(answer.ids.len(), 18, "{:?}", answer.ids);
    for (place, id) in &answer.ids {
        assert_eq!(*id, GREEDY[usize::try_from(*place)?], "token {place}");
    }
    assert_eq!(answer.text, text_of(server, &GREEDY).await?);
    Ok(())
}

/// What the server makes of ids, of which some are halves of characters.
async fn text_of(server: &LlamaServer, ids: &[u32]) -> Result<String, WorkerError> {
    let tokens: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let request = DetokenizeRequest { tokens: tokens.into(), ..DetokenizeRequest::default() };
    let answer: DetokenizeResponse = client(server).post_json("/detokenize", &request).await?;
    Ok(answer.content.into_option().unwrap_or_default())
}

pub(crate) async fn text_completions_say_the_same(server: &LlamaServer) -> TestResult {
    let worker = OpenAi::builder().base_url(server.base_url()).build()?;
    let answer = ask_text(&worker, greedy(PromptRequest::raw(FOX), 24)).await?;
    assert_eq!(answer, text_of(server, &GREEDY).await?);
    Ok(())
}

async fn ask_text(worker: &impl ModelWorker, prompt: PromptRequest) -> Result<String, WorkerError> {
    let mut stream = worker.infer(call(prompt, None)).await?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        text.push_str(event?.text());
    }
    Ok(text)
}

pub(crate) async fn a_chat_is_answered_as_recorded(server: &LlamaServer) -> TestResult {
    let trace = traces::load("llamacpp/chat_stream_usage");
    let asked: Value = serde_json::from_slice(&trace.request)?;
    assert_eq!((&asked["max_tokens"], &asked["temperature"]), (&6.into(), &0.into()));
    let prompt = PromptRequest::new("hello world").system("system prompt");
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let answer = ask(&worker, call(greedy(prompt, 6), None)).await?;

    let body = String::from_utf8(trace.response().to_vec())?;
    let chunks = body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let chunks: Vec<Value> = chunks.collect();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(answer.text, text);
    let usage = &chunks.last().expect("the last").get("usage").expect("usage");
    assert_eq!(usage["prompt_tokens"], answer.finish.usage.prompt_tokens);
    assert_eq!(usage["completion_tokens"], answer.finish.usage.completion_tokens);
    assert_eq!(answer.finish.reason, FinishReason::Length);
    Ok(())
}

pub(crate) async fn both_routes_say_the_same(server: &LlamaServer) -> TestResult {
    let prompt = || {
        let turns =
            [Message::system("be brief"), Message::user("hello"), Message::assistant("yes?"), Message::user("fox")];
        greedy(PromptRequest::from_messages(turns), 12)
    };
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let (one, other) = (ask(&chat, call(prompt(), None)).await?, ask(&native, call(prompt(), None)).await?);
    assert_eq!(one.text, other.text);
    assert_eq!(one.finish.reason, other.finish.reason);
    assert_eq!(one.finish.usage.prompt_tokens, other.finish.usage.prompt_tokens);
    assert!(one.ids.is_empty() && !other.ids.is_empty(), "only one of them tells ids");
    let timings = |finish: &orchestrator_core::token::Finish| {
        finish.vendor.as_ref().is_some_and(|vendor| vendor["timings"]["predicted_n"] == 12)
    };
    assert!(timings(&one.finish) && timings(&other.finish));
    Ok(())
}

pub(crate) async fn stop_texts_and_limits_end_an_answer(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let stopped = ask(&worker, call(greedy(PromptRequest::raw(FOX), 24).stop("ick"), None)).await?;
    assert_eq!(stopped.finish.reason, FinishReason::Stop);
    assert!(!stopped.text.contains("ick") && stopped.text.ends_with('W'), "{:?}", stopped.text);
    assert_eq!(stopped.finish.vendor.expect("told")["stopping_word"], "ick");
    let full = ask(&worker, call(PromptRequest::raw(FOX).temperature(0.0).vendor("ignore_eos", true), None)).await?;
    assert_eq!(full.finish.reason, FinishReason::Length);
    assert_eq!(full.finish.vendor.expect("told")["truncated"], true, "the context was used up");
    Ok(())
}

pub(crate) async fn a_prompt_that_is_too_long_says_by_how_much(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    assert_eq!(worker.info().context_length, Some(2048));
    let long = "hello ".repeat(3000);
    for prompt in [PromptRequest::raw(long.clone()), PromptRequest::new(long)] {
        let error = worker.infer(call(prompt, None)).await.expect_err("it is too long");
        let WorkerErrorKind::ContextLength { prompt_tokens: Some(tokens), limit: Some(2048) } = error.kind() else {
            panic!("{error:?}");
        };
        assert!(tokens >= 3000, "{tokens}");
        assert_eq!(error.status(), Some(400));
    }
    Ok(())
}

pub(crate) async fn a_wrong_key_is_told_at_once(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().api_key("the-right-key").start()?;
    let error = LlamaCpp::builder(server.base_url()).key("a-wrong-key").connect().await.expect_err("it is wrong");
    assert_eq!(error.kind(), WorkerErrorKind::Auth);
    let worker = LlamaCpp::builder(server.base_url()).key("the-right-key").connect().await?;
    let answer = ask(&worker, call(greedy(PromptRequest::raw(FOX), 1), None)).await?;
    assert_eq!(answer.text, "journal");
    assert!(worker.health().await.load.running.is_some(), "metrics need the key too");
    Ok(())
}

pub(crate) async fn the_contract_holds_with_the_genuine_server(server: &LlamaServer) -> TestResult {
    for route in [Route::Chat, Route::Native] {
        let worker = LlamaCpp::builder(server.base_url()).route(route).connect().await?;
        let ask = || call(greedy(PromptRequest::new("Count to three."), 16), Some("contract"));
        conformance::check(worker).asking(ask).run().await.assert();
    }
    Ok(())
}
