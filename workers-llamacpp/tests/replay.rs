//! Recorded answers of the native route, read again.

#[path = "../../workers-openai/tests/common/traces.rs"]
mod traces;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_core::token::Finish;
use serde_json::Value;
use traces::Trace;
use workers_llamacpp::LlamaCpp;

/// Answers every prompt with these bytes as the body of a stream, each in a chunk of its own.
async fn serve(chunks: Vec<Vec<u8>>) -> ScriptedServer {
    let script = move |request: &Request| match request.path() {
        "/props" => Reply::json(200, r#"{"total_slots":2}"#),
        _ => {
            chunks.iter().fold(Reply::chunked(200, "text/event-stream"), |reply, chunk| reply.chunk(chunk)).last_chunk()
        }
    };
    ScriptedServer::start(script).await.expect("a port")
}

#[derive(Debug, Default)]
struct Read {
    text: String,
    ids: Vec<u32>,
    /// Texts whose ids are not known.
    unknown: usize,
    finish: Option<Finish>,
}

async fn read(chunks: Vec<Vec<u8>>) -> Result<Read, WorkerError> {
    let server = serve(chunks).await;
    let worker = LlamaCpp::connect(server.base_url()).await.expect("it says how many slots it has");
    let call = InferenceRequest::new(PromptRequest::raw("?"), Context::standalone(RequestOptions::new()));
    let mut stream = worker.infer(call).await?;
    let mut read = Read::default();
    while let Some(event) = stream.next().await {
        match event? {
            TokenEvent::Finish(finish) => read.finish = Some(finish),
            TokenEvent::Text(delta) => {
                read.text.push_str(delta.text());
                read.ids.extend_from_slice(delta.token_ids());
                read.unknown += usize::from(delta.token_ids().is_empty());
            }
            other => panic!("{other:?} was not recorded"),
        }
    }
    Ok(read)
}

fn streams() -> Vec<Trace> {
    let is_native =
        |trace: &Trace| trace.name.starts_with("llamacpp/") && trace.path == "/completion" && trace.event_stream;
    let streams: Vec<Trace> = traces::all().into_iter().filter(is_native).collect();
    assert!(streams.len() >= 8, "{}", streams.len());
    streams
}

fn pieces(trace: &Trace) -> Vec<Value> {
    let body = trace.response();
    let events = std::str::from_utf8(&body).expect("text").split("\n\n");
    events.filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok()).collect()
}

#[tokio::test]
async fn every_recorded_stream_is_read_or_found_to_be_cut() {
    for trace in streams() {
        let pieces = pieces(&trace);
        let read = read(trace.chunks.iter().map(|chunk| chunk.to_vec()).collect()).await;
        let last = pieces.last().filter(|last| last["stop"] == true);
        let Some(last) = last else {
            assert_eq!(read.expect_err(&trace.name).kind(), WorkerErrorKind::StreamCut, "{}", trace.name);
            continue;
        };
        let read = read.expect(&trace.name);
        let text: String = pieces.iter().filter_map(|piece| piece["content"].as_str()).collect();
        assert_eq!(read.text, text, "{}", trace.name);
        let finish = read.finish.expect("an end");
        assert_eq!(last["tokens_predicted"], finish.usage.completion_tokens, "{}", trace.name);
        assert_eq!(last["tokens_evaluated"], finish.usage.prompt_tokens, "{}", trace.name);
        assert_eq!(last["timings"]["cache_n"], finish.usage.cached_tokens, "{}", trace.name);
        let reason = if last["stop_type"] == "limit" { FinishReason::Length } else { FinishReason::Stop };
        assert_eq!(finish.reason, reason, "{}", trace.name);
        assert_eq!(finish.vendor.expect("told")["timings"], last["timings"], "{}", trace.name);
    }
}

#[tokio::test]
async fn ids_are_told_where_all_of_them_are_known() {
    let whole = traces::load("llamacpp/completion_stream");
    let all = read(vec![whole.response().to_vec()]).await.expect("an answer");
    assert_eq!((all.ids.as_slice(), all.unknown), (&[358, 215, 17, 71, 227, 319, 35][..], 0));
    // In the middle of this one there is a character of two tokens, of which the server names one.
    let split = traces::load("llamacpp/completion_stop_stream");
    let some = read(vec![split.response().to_vec()]).await.expect("an answer");
    assert!(!some.ids.contains(&368), "{:?}", some.ids);
    assert_eq!((some.ids.len(), some.unknown), (12, 1));
    // It begins with four events that tell of the prompt, and each names a token; the third and fourth are one text.
    let progress = traces::load("llamacpp/completion_progress_stream");
    let all = read(vec![progress.response().to_vec()]).await.expect("an answer");
    assert_eq!((all.ids.as_slice(), all.unknown), (&[393, 221, 105, 71, 227, 57][..], 1));
}

#[tokio::test]
async fn an_answer_without_its_last_event_is_never_whole() {
    let body = traces::load("llamacpp/completion_stream").response();
    let last = body.windows(8).rposition(|window| window == b"data: {\"").expect("events");
    for end in (0..last + 60).step_by(23).chain([last, last + 1, body.len() - 3]) {
        let error = read(vec![body[..end].to_vec()]).await.expect_err("it is cut");
        assert_eq!(error.kind(), WorkerErrorKind::StreamCut, "at {end} of {}: {error:?}", body.len());
    }
}
