//! The wire types lose nothing: of recorded exchanges, and of what else servers and callers may send.

#[path = "common/traces.rs"]
mod traces;

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use traces::Trace;
use workers_openai::sse::SseDecoder;
use workers_openai::wire::{
    ChatChunk, ChatCompletion, ChatRequest, Completion, CompletionRequest, EmbeddingRequest, EmbeddingResponse,
    ErrorBody, ModelList,
};

/// Reads and writes again; says whether it could be read, and panics where it has changed.
fn survives<T: DeserializeOwned + Serialize>(json: &[u8], what: &str) -> bool {
    let Ok(typed) = serde_json::from_slice::<T>(json) else { return false };
    let before: Value = serde_json::from_slice(json).expect("it was read");
    let text = serde_json::to_string(&typed).expect("written");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), before, "{what}");
    let again: T = serde_json::from_value(before.clone()).expect("the same from a value");
    assert_eq!(serde_json::to_value(&again).expect("written"), before, "{what}, by way of a value");
    true
}

fn survives_as_request(trace: &Trace) -> Option<bool> {
    let (body, name) = (&trace.request, &trace.name);
    match (&*trace.method, &*trace.path) {
        ("POST", "/v1/chat/completions") => Some(survives::<ChatRequest>(body, name)),
        ("POST", "/v1/completions") => Some(survives::<CompletionRequest>(body, name)),
        ("POST", "/v1/embeddings") => Some(survives::<EmbeddingRequest>(body, name)),
        _ => None,
    }
}

fn survives_as_response(trace: &Trace) -> Option<bool> {
    let (body, name) = (&trace.response(), &trace.name);
    match (&*trace.path, trace.status) {
        ("/v1/chat/completions", 200) => Some(survives::<ChatCompletion>(body, name)),
        ("/v1/completions", 200) => Some(survives::<Completion>(body, name)),
        ("/v1/embeddings", 200) => Some(survives::<EmbeddingResponse>(body, name)),
        ("/v1/models", 200) => Some(survives::<ModelList>(body, name)),
        (_, 400..) => Some(survives::<ErrorBody>(body, name)),
        _ => None,
    }
}

fn survives_as_chunk(trace: &Trace, data: &[u8]) -> Option<bool> {
    match &*trace.path {
        "/v1/chat/completions" => Some(survives::<ChatChunk>(data, &trace.name)),
        "/v1/completions" => Some(survives::<Completion>(data, &trace.name)),
        _ => None,
    }
}

/// The data of all events.
fn events(trace: &Trace) -> Vec<bytes::Bytes> {
    let mut decoder = SseDecoder::new();
    decoder.push(trace.response());
    decoder.finish();
    std::iter::from_fn(|| decoder.next_event()).map(|event| event.expect("no limit is near").into_data()).collect()
}

#[test]
fn every_recorded_request_survives_except_those_that_are_none() {
    let mut unread = BTreeSet::new();
    let mut read = 0;
    for trace in traces::all() {
        match survives_as_request(&trace) {
            Some(true) => read += 1,
            Some(false) => _ = unread.insert(trace.name.clone()),
            None => {}
        }
    }
    assert!(read > 40, "{read} requests");
    let none = [
        // No JSON, or none that is whole.
        "llamacpp/err_bad_json",
        "llamacpp/err_empty_body",
        "vllm/err_bad_json",
        "vllm/err_empty",
        // No messages.
        "llamacpp/err_no_messages",
        "llamacpp/err_wrong_type",
        "vllm/err_no_messages",
    ];
    let none: BTreeSet<String> = none.into_iter().map(str::to_owned).collect();
    assert_eq!(unread, none);
}

#[test]
fn every_recorded_response_survives() {
    let mut read = 0;
    for trace in traces::all().iter().filter(|trace| !trace.event_stream && trace.method != "OPTIONS") {
        let Some(survived) = survives_as_response(trace) else { continue };
        assert!(survived, "{} was not read", trace.name);
        read += 1;
    }
    assert!(read > 40, "{read} responses");
}

#[test]
fn every_recorded_chunk_survives() {
    let mut read = 0;
    for trace in traces::all().iter().filter(|trace| trace.event_stream) {
        let mut events = events(trace);
        // The one that a dropped connection has cut.
        if !events.last().is_some_and(|last| last == "[DONE]" || last.ends_with(b"}")) {
            events.pop();
        }
        for data in events.iter().filter(|data| *data != "[DONE]") {
            let Some(survived) = survives_as_chunk(trace, data) else { break };
            assert!(survived, "{} was not read: {data:?}", trace.name);
            read += 1;
        }
    }
    assert!(read > 4_500, "{read} chunks");
}
