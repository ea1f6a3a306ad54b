//! The worker and the genuine llama-server.

#[path = "common/traces.rs"]
mod traces;

use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::request::{PromptRequest, RequestOptions};
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::token::{Finish, FinishReason, TokenEvent};
use orchestrator_core::worker::{InferenceRequest, ModelWorker, Timeouts};
use serde_json::{Value, json};
use test_peers::{LlamaServer, Model, Suite, TestResult};
use tokio::time::Instant;
use workers_openai::client::Client;
use workers_openai::probe::{ServerKind, probe};
use workers_openai::wire::{ChatChunk, Content};
use workers_openai::{OpenAi, OpenAiEmbedder};

fn main() -> ExitCode {
    Suite::new("workers-openai/real", LlamaServer::missing(), || LlamaServer::builder().start())
        .one_by_one()
        .test("it_is_known_and_ready", it_is_known_and_ready)
        .test("a_chat_is_the_recorded_one", a_chat_is_the_recorded_one)
        .test("greedy_tokens_have_the_text_of_their_ids", greedy_tokens_have_the_text_of_their_ids)
        .test("a_prompt_that_is_too_long_is_refused_with_both_sizes", too_long)
        .test("a_dropped_stream_frees_its_slot", a_dropped_stream_frees_its_slot)
        .test("a_killed_server_cuts_the_stream", a_killed_server_cuts_the_stream)
        .test("a_frozen_server_runs_into_the_time_limit", a_frozen_server_runs_into_the_time_limit)
        .test("a_wrong_key_is_refused", a_wrong_key_is_refused)
        .test("texts_are_embedded", texts_are_embedded)
        .run()
}

fn worker(server: &LlamaServer) -> OpenAi {
    OpenAi::builder().base_url(server.base_url()).build().expect("a worker")
}

fn inference(prompt: PromptRequest) -> InferenceRequest {
    InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()))
}

fn tokens(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

async fn read(
    worker: &OpenAi,
    prompt: PromptRequest,
) -> Result<(String, Finish), Box<dyn std::error::Error + Send + Sync>> {
    let mut stream = worker.infer(inference(prompt)).await?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        match event? {
            TokenEvent::Finish(finish) => return Ok((text, finish)),
            event => text.push_str(event.text()),
        }
    }
    Err("the stream ended without its terminal event".into())
}

async fn it_is_known_and_ready(server: &LlamaServer) -> TestResult {
    assert_eq!(probe(&server.base_url(), None).await?, ServerKind::LlamaCpp);
    assert!(worker(server).health().await.is_ready());
    Ok(())
}

/// What was recorded on the route of chats.
fn recorded() -> String {
    let body = traces::load("llamacpp/chat_stream_usage").response();
    let body = String::from_utf8_lossy(&body).into_owned();
    let chunks = body.lines().filter_map(|line| serde_json::from_str::<ChatChunk>(line.strip_prefix("data: ")?).ok());
    let choices = chunks.filter_map(|chunk| chunk.choices.into_option()).flatten();
    choices
        .filter_map(|choice| match choice.delta.into_option()?.content.into_option()? {
            Content::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

async fn a_chat_is_the_recorded_one(server: &LlamaServer) -> TestResult {
    let prompt = PromptRequest::new("hello world").system("system prompt").max_tokens(tokens(6)).temperature(0.0);
    let (text, finish) = read(&worker(server), prompt).await?;
    assert_eq!(text, recorded());
    assert_eq!(finish.reason, FinishReason::Length);
    assert_eq!((finish.usage.prompt_tokens, finish.usage.completion_tokens), (17, 6));
    assert!(finish.vendor.ok_or("no timings")?.contains_key("timings"));
    Ok(())
}

async fn greedy_tokens_have_the_text_of_their_ids(server: &LlamaServer) -> TestResult {
    const IDS: [u32; 24] =
        [395, 195, 70, 70, 70, 70, 105, 130, 336, 227, 130, 57, 343, 30, 343, 30, 343, 30, 343, 30, 315, 346, 130, 258];
    let client = Client::builder(server.base_url()).build()?;
    let said: Value = client.post_json("/detokenize", &json!({"tokens": IDS})).await?;
    let prompt = PromptRequest::raw("the quick brown fox").max_tokens(tokens(24)).temperature(0.0);
    let (text, finish) = read(&worker(server), prompt).await?;
    assert_eq!(Some(text.as_str()), said["content"].as_str());
    assert_eq!(finish.usage.completion_tokens, 24);
    Ok(())
}

async fn too_long(server: &LlamaServer) -> TestResult {
    let error = read(&worker(server), PromptRequest::raw("hello world ".repeat(2_000))).await.err().ok_or("it fits")?;
    let error: orchestrator_core::error::WorkerError = *error.downcast()?;
    let Kind::ContextLength { prompt_tokens: Some(prompt), limit: Some(2048) } = error.kind() else {
        return Err(error.into());
    };
    assert!(prompt > 2048, "{prompt}");
    Ok(())
}

/// How many slots are at work.
async fn busy(client: &Client) -> Result<usize, orchestrator_core::error::WorkerError> {
    let slots: Vec<Value> = client.get_json("/slots").await?;
    Ok(slots.iter().filter(|slot| slot["is_processing"] == true).count())
}

async fn a_dropped_stream_frees_its_slot(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().model(Model::Slow).start()?;
    let client = Client::builder(server.base_url()).build()?;
    let endless = PromptRequest::raw("the quick").max_tokens(tokens(1_900)).vendor("ignore_eos", true);
    for _ in 0..5 {
        let mut stream = worker(&server).infer(inference(endless.clone())).await?;
        stream.next().await.ok_or("no text")??;
        assert_eq!(busy(&client).await?, 1);
        drop(stream);
        let dropped = Instant::now();
        while busy(&client).await? > 0 {
            assert!(dropped.elapsed() < Duration::from_secs(1), "still at work");
        }
    }
    Ok(())
}

/// The error of a stream of which one event has been read when `strike` comes down on its server.
async fn struck(
    timeouts: Timeouts,
    strike: fn(&mut LlamaServer) -> std::io::Result<()>,
) -> Result<Kind, Box<dyn std::error::Error + Send + Sync>> {
    let mut server = LlamaServer::builder().model(Model::Slow).start()?;
    let slots = NonZeroUsize::new(2).ok_or("not zero")?;
    let worker = OpenAi::builder().base_url(server.base_url()).slots(slots).timeouts(timeouts).build()?;
    let endless = PromptRequest::raw("the quick").max_tokens(tokens(1_900)).vendor("ignore_eos", true);
    let mut stream = worker.infer(inference(endless)).await?;
    stream.next().await.ok_or("no text")??;
    strike(&mut server)?;
    while let Some(event) = stream.next().await {
        if let Err(error) = event {
            return Ok(error.kind());
        }
    }
    Err("it looks whole".into())
}

async fn a_killed_server_cuts_the_stream(_shared: &LlamaServer) -> TestResult {
    assert_eq!(struck(Timeouts::default(), LlamaServer::kill).await?, Kind::StreamCut);
    Ok(())
}

async fn a_frozen_server_runs_into_the_time_limit(_shared: &LlamaServer) -> TestResult {
    let limits = Timeouts::default().between_tokens(Duration::from_millis(200));
    let phase = orchestrator_core::error::Phase::BetweenTokens;
    assert_eq!(struck(limits, LlamaServer::freeze).await?, Kind::Timeout(phase));
    Ok(())
}

async fn a_wrong_key_is_refused(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().api_key("the-right-key").start()?;
    let with = |key: &str| OpenAi::builder().base_url(server.base_url()).key(key).build();
    let error = with("the-wrong-key")?.infer(inference("?".into())).await.err().ok_or("it was let in")?;
    assert_eq!((error.kind(), error.status()), (Kind::Auth, Some(401)));
    read(&with("the-right-key")?, PromptRequest::new("?").max_tokens(tokens(2))).await?;
    Ok(())
}

async fn texts_are_embedded(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().embeddings().arg("--pooling").arg("mean").start()?;
    let client = Client::builder(server.base_url()).build()?;
    let floats = OpenAiEmbedder::new(client.clone(), "tiny").embed(&["hello world", "the quick"]).await?;
    let packed = OpenAiEmbedder::new(client, "tiny").base64().embed(&["hello world", "the quick"]).await?;
    assert_eq!(floats.len(), 2);
    for (float, packed) in floats.iter().flatten().zip(packed.iter().flatten()) {
        assert!((float - packed).abs() < 1e-4, "{float} {packed}");
    }
    Ok(())
}
