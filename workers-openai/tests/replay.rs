//! Recorded answers of real servers, through the worker.

#[path = "common/traces.rs"]
mod traces;

use orchestrator_core::context::Context;
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::request::{PromptRequest, RequestOptions};
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use orchestrator_core::token::{Finish, FinishReason, TokenEvent};
use orchestrator_core::worker::{InferenceRequest, ModelWorker};
use traces::Trace;
use workers_openai::OpenAi;
use workers_openai::sse::SseDecoder;
use workers_openai::wire::{ChatChunk, Completion, Content, FinishReason as Reason, Usage};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// Whether the connection broke before the answer was whole.
fn was_cut(trace: &Trace) -> bool {
    ["disconnect_", "server_SIG"].iter().any(|what| trace.name.contains(what))
}

/// The response as it was recorded, chunk by chunk.
fn reply(trace: &Trace) -> Reply {
    if !trace.event_stream {
        return Reply::json(trace.status, trace.response());
    }
    let head = Reply::chunked(trace.status, "text/event-stream");
    let reply = trace.chunks.iter().fold(head, |reply, chunk| reply.chunk(chunk));
    if was_cut(trace) { reply.close() } else { reply.last_chunk() }
}

/// What the worker makes of a recorded response: text and end.
async fn replay(trace: &Trace) -> (String, Result<Finish, WorkerError>) {
    let reply = reply(trace);
    let server = ScriptedServer::start(move |_| reply.clone()).await.expect("a port");
    let worker = OpenAi::builder().base_url(server.base_url()).build().expect("a worker");
    let prompt = if trace.path == CHAT { PromptRequest::new("?") } else { PromptRequest::raw("?") };
    let request = InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()));
    let mut stream = match worker.infer(request).await {
        Ok(stream) => stream,
        Err(error) => return (String::new(), Err(error)),
    };
    let mut text = String::new();
    loop {
        match stream.next().await.expect("an end") {
            Ok(TokenEvent::Finish(finish)) => return (text, Ok(finish)),
            Ok(event) => text.push_str(event.text()),
            Err(error) => return (text, Err(error)),
        }
    }
}

/// The same by way of the types that keep everything.
#[derive(Default)]
struct Expected {
    text: String,
    reason: Option<Reason>,
    usage: Usage,
}

impl Expected {
    fn of(trace: &Trace) -> Self {
        let mut decoder = SseDecoder::new();
        trace.chunks.iter().for_each(|chunk| decoder.push(chunk.clone()));
        let mut expected = Self::default();
        while let Some(event) = decoder.next_event() {
            let data = event.expect("no limit is near").into_data();
            if data != "[DONE]" {
                expected.add(trace, &data);
            }
        }
        expected
    }

    fn add(&mut self, trace: &Trace, data: &[u8]) {
        let (text, reason, usage) = if trace.path == CHAT {
            let chunk: ChatChunk = serde_json::from_slice(data).expect("a chunk");
            let choice = chunk.choices.into_option().and_then(|choices| choices.into_iter().next()).unwrap_or_default();
            let delta = choice.delta.into_option().unwrap_or_default();
            (delta.content.into_option(), choice.finish_reason, chunk.usage)
        } else {
            let chunk: Completion = serde_json::from_slice(data).expect("a chunk");
            let choice = chunk.choices.into_option().and_then(|choices| choices.into_iter().next()).unwrap_or_default();
            (choice.text.into_option().map(Content::Text), choice.finish_reason, chunk.usage)
        };
        if let Some(Content::Text(text)) = text {
            self.text += &text;
        }
        self.reason = reason.into_option().or(self.reason.take());
        self.usage = usage.into_option().unwrap_or_else(|| std::mem::take(&mut self.usage));
    }
}

fn generated() -> impl Iterator<Item = Trace> {
    traces::all().into_iter().filter(|trace| [CHAT, COMPLETIONS].contains(&&*trace.path))
}

#[tokio::test]
async fn whole_streams_give_their_text_their_reason_and_their_usage() {
    let mut seen = 0;
    for trace in generated().filter(|trace| trace.event_stream && !was_cut(trace)) {
        let (text, end) = replay(&trace).await;
        let expected = Expected::of(&trace);
        assert_eq!(text, expected.text, "{}", trace.name);
        let finish = end.unwrap_or_else(|error| panic!("{}: {error}", trace.name));
        assert_eq!(finish.reason.as_str(), expected.reason.expect("a reason").as_str(), "{}", trace.name);
        let counted = [finish.usage.prompt_tokens, finish.usage.completion_tokens, finish.usage.cached_tokens];
        let details = expected.usage.prompt_tokens_details.into_option().unwrap_or_default();
        let told = [expected.usage.prompt_tokens, expected.usage.completion_tokens, details.cached_tokens];
        assert_eq!(counted, told.map(|count| count.into_option().unwrap_or(0)), "{}", trace.name);
        seen += 1;
    }
    assert!(seen >= 15, "{seen} streams");
}

#[tokio::test]
async fn streams_that_were_cut_are_told_so_behind_all_their_text() {
    let mut seen = 0;
    for trace in generated().filter(|trace| trace.event_stream && was_cut(trace)) {
        let (text, end) = replay(&trace).await;
        assert_eq!(end.expect_err(&trace.name).kind(), Kind::StreamCut, "{}", trace.name);
        assert!(!text.is_empty(), "{}", trace.name);
        seen += 1;
    }
    assert!(seen >= 3, "{seen} streams");
}

#[tokio::test]
async fn refusals_have_their_kind() {
    let mut seen = 0;
    for trace in generated().filter(|trace| trace.status != 200) {
        let error = replay(&trace).await.1.expect_err(&trace.name);
        let kind = match trace.name.split_once('/').expect("a folder").1 {
            name if name.starts_with("auth_") => Kind::Auth,
            "err_model" => Kind::NotFound,
            "err_ctx" | "err_ctx_stream" => Kind::ContextLength { prompt_tokens: Some(2049), limit: Some(2048) },
            name if name.starts_with("err_ctx") => Kind::ContextLength { prompt_tokens: Some(3009), limit: Some(2048) },
            // llama.cpp answers so to what is no JSON, which we never send.
            _ if trace.status == 500 => Kind::Transient,
            _ => Kind::InvalidRequest,
        };
        assert_eq!((error.kind(), error.status()), (kind, Some(trace.status)), "{}", trace.name);
        assert_eq!(error.body(), std::str::from_utf8(&trace.response()).ok(), "{}", trace.name);
        seen += 1;
    }
    assert!(seen >= 10, "{seen} refusals");
}

#[tokio::test]
async fn what_llama_cpp_measured_comes_with_the_end() {
    let (_, end) = replay(&traces::load("llamacpp/chat_stream_usage")).await;
    let finish = end.expect("whole");
    assert_eq!(finish.reason, FinishReason::Length);
    assert_eq!(finish.vendor.expect("timings")["timings"]["cache_n"], 16);
}
