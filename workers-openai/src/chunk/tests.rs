//! The light view against the types that keep everything, and against what servers may send.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Choice, Chunk, Usage};
use crate::sse::SseDecoder;
use crate::wire::{self, Content, ErrorBody, Field};

#[path = "../../tests/common/traces.rs"]
mod traces;

/// What is new of an answer: index, content, reasoning, finish reason, token ids.
type Facts = (u64, String, String, Option<String>, Vec<u32>);

fn facts(choice: &Choice<'_>) -> Facts {
    (
        choice.index(),
        choice.content().to_owned(),
        choice.reasoning().to_owned(),
        choice.finish_reason().map(str::to_owned),
        choice.token_ids().to_vec(),
    )
}

fn counts(usage: Usage) -> [Option<u64>; 3] {
    [usage.prompt(), usage.completion(), usage.cached()]
}

fn full_counts(usage: &wire::Usage) -> [Option<u64>; 3] {
    let cached = usage.prompt_tokens_details.get().and_then(|details| details.cached_tokens.get());
    [usage.prompt_tokens.get(), usage.completion_tokens.get(), cached].map(Option::<&u64>::copied)
}

fn token_ids(extra: &wire::Extra) -> Vec<u32> {
    let ids = extra.get("token_ids").cloned().unwrap_or_default();
    serde_json::from_value::<Option<Vec<u32>>>(ids).expect("ids or null").unwrap_or_default()
}

fn reason(field: &Field<wire::FinishReason>) -> Option<String> {
    field.get().map(|reason| reason.as_str().to_owned()).filter(|reason| !reason.is_empty())
}

fn chat_facts(choice: &wire::ChatChunkChoice) -> Facts {
    let delta = choice.delta.get().cloned().unwrap_or_default();
    let content = match delta.content.into_option() {
        Some(Content::Text(text)) => text,
        None => String::new(),
        Some(other) => panic!("no server sent {other:?}"),
    };
    let reasoning = delta.reasoning_content.into_option().or(delta.reasoning.into_option()).unwrap_or_default();
    let index = choice.index.get().copied().unwrap_or_default().into();
    (index, content, reasoning, reason(&choice.finish_reason), token_ids(&choice.extra))
}

fn completion_facts(choice: &wire::CompletionChoice) -> Facts {
    let text = choice.text.get().cloned().unwrap_or_default();
    let index = choice.index.get().copied().unwrap_or_default().into();
    (index, text, String::new(), reason(&choice.finish_reason), token_ids(&choice.extra))
}

/// The facts of a chunk, by way of the types that keep everything.
fn full(path: &str, data: &[u8]) -> (Vec<Facts>, Option<[Option<u64>; 3]>) {
    if path == "/v1/completions" {
        let chunk: wire::Completion = serde_json::from_slice(data).expect("a chunk");
        let choices = chunk.choices.get().into_iter().flatten();
        return (choices.map(completion_facts).collect(), chunk.usage.get().map(full_counts));
    }
    let chunk: wire::ChatChunk = serde_json::from_slice(data).expect("a chunk");
    (chunk.choices.get().into_iter().flatten().map(chat_facts).collect(), chunk.usage.get().map(full_counts))
}

/// The chunks of all recorded streams, with their routes.
fn recorded() -> Vec<(String, Bytes)> {
    let mut chunks = Vec::new();
    for trace in traces::all().into_iter().filter(|trace| trace.event_stream) {
        if !["/v1/completions", "/v1/chat/completions"].contains(&&*trace.path) {
            continue;
        }
        let mut decoder = SseDecoder::new();
        trace.chunks.into_iter().for_each(|chunk| decoder.push(chunk));
        while let Some(event) = decoder.next_event() {
            let data = event.expect("no limit is near").into_data();
            if data != "[DONE]" {
                chunks.push((trace.path.clone(), data));
            }
        }
    }
    chunks
}

#[test]
fn every_recorded_chunk_tells_the_same_as_the_full_types() {
    let (mut seen, mut reasons, mut with_usage) = (0, BTreeSet::new(), 0);
    for (path, data) in recorded() {
        let chunk = Chunk::parse(&data).expect("a chunk");
        let light: Vec<Facts> = chunk.choices().iter().map(facts).collect();
        reasons.extend(light.iter().filter_map(|facts| facts.3.clone()));
        with_usage += usize::from(chunk.usage().is_some());
        assert_eq!((light, chunk.usage().map(counts)), full(&path, &data), "{data:?}");
        assert!(!chunk.is_error());
        seen += 1;
    }
    assert!(seen > 4_500 && with_usage > 3 && reasons.contains("length"), "{seen} {with_usage} {reasons:?}");
}

fn only_choice(json: &str, check: impl FnOnce(&Choice<'_>)) {
    let chunk = Chunk::parse(json.as_bytes()).expect(json);
    assert_eq!(chunk.choices().len(), 1, "{json}");
    check(&chunk.choices()[0]);
}

#[test]
fn text_without_escapes_is_borrowed() {
    let data = br#"{"choices":[{"delta":{"content":"fox"}}]}"#;
    let chunk = Chunk::parse(data).expect("a chunk");
    assert!(data.as_ptr_range().contains(&chunk.choices()[0].content().as_ptr()));
    only_choice(r#"{"choices":[{"delta":{"content":"\u00e9\n"}}]}"#, |choice| assert_eq!(choice.content(), "é\n"));
}

#[test]
fn null_missing_and_empty_are_the_same() {
    for json in ["{}", r#"{"choices":null,"usage":null,"error":null}"#, r#"{"choices":[],"usage":null}"#] {
        let chunk = Chunk::parse(json.as_bytes()).expect(json);
        assert!(chunk.choices().is_empty() && chunk.usage().is_none() && !chunk.is_error(), "{json}");
    }
    for json in [
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"index":null,"text":null,"delta":null,"finish_reason":null,"token_ids":null}]}"#,
        r#"{"choices":[{"delta":{"content":null,"reasoning":null,"tool_calls":null},"finish_reason":""}]}"#,
    ] {
        only_choice(json, |choice| {
            assert_eq!(facts(choice), (0, String::new(), String::new(), None, vec![]), "{json}");
            assert!(choice.tool_calls().is_empty());
        });
    }
}

#[test]
fn what_is_not_needed_may_be_anything() {
    let json = r#"{"id":7,"model":["x"],"created":"now","object":{},"usage":{"prompt_tokens":3,"completion_tokens":"?",
        "total_tokens":[],"prompt_tokens_details":{"cached_tokens":-1,"audio":{}}},"timings":3,
        "choices":[{"index":1,"delta":{"content":"a","role":5,"refusal":[1]},"logprobs":"no","finish_reason":"stop"}]}"#;
    let chunk = Chunk::parse(json.as_bytes()).expect("a chunk");
    assert_eq!(facts(&chunk.choices()[0]), (1, "a".into(), String::new(), Some("stop".into()), vec![]));
    assert_eq!(chunk.usage().map(counts), Some([Some(3), None, None]));
}

#[test]
fn what_is_needed_may_not() {
    for json in [r#"{"choices":[{"text":7}]}"#, r#"{"choices":7}"#, "[DONE]", "7", r#"{"choices":[{"text":"a"#] {
        assert!(Chunk::parse(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn reasoning_goes_by_two_names() {
    for json in [
        r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":""}}]}"#,
        r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#,
    ] {
        only_choice(json, |choice| assert_eq!((choice.reasoning(), choice.content()), ("hm", ""), "{json}"));
    }
}

#[test]
fn content_in_parts_is_the_text_of_the_parts() {
    let json = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking"},{"text":"b"}]}}]}"#;
    only_choice(json, |choice| assert_eq!(choice.content(), "ab"));
}

#[test]
fn pieces_of_tool_calls_are_told() {
    let json = r#"{"choices":[{"delta":{"tool_calls":[
        {"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}},
        {"index":0,"function":{"arguments":"{\"a\":"}},
        {"id":null,"function":{"name":"g","arguments":{"a":1}}},
        {"index":2,"function":null}]}}]}"#;
    only_choice(json, |choice| {
        let calls = choice.tool_calls().iter().map(|call| (call.index(), call.id(), call.name(), call.arguments()));
        assert_eq!(
            calls.collect::<Vec<_>>(),
            [
                (Some(0), Some("c1"), Some("f"), ""),
                (Some(0), None, None, "{\"a\":"),
                (None, None, Some("g"), "{\"a\":1}"),
                (Some(2), None, None, ""),
            ]
        );
    });
}

#[test]
fn token_ids_are_told_where_they_are() {
    only_choice(r#"{"choices":[{"text":"ab","token_ids":[395,70]}]}"#, |choice| {
        assert_eq!(choice.token_ids(), [395, 70]);
    });
}

#[test]
fn an_error_inside_a_stream_is_seen() {
    for json in [r#"{"error":{"message":"no memory","code":500}}"#, r#"{"error":"no memory"}"#] {
        assert!(Chunk::parse(json.as_bytes()).expect(json).is_error());
        let body: ErrorBody = serde_json::from_str(json).expect(json);
        assert_eq!(body.message(), Some("no memory"));
    }
}
