//! The wire types lose nothing of recorded exchanges.

#[path = "../../workers-openai/tests/common/traces.rs"]
mod traces;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use traces::Trace;
use workers_llamacpp::wire::{
    Completion, CompletionRequest, DetokenizeRequest, DetokenizeResponse, Health, Prompt, PromptPart, Props, Slot,
    TemplateRequest, TemplateResponse, Token, TokenizeRequest, TokenizeResponse,
};
use workers_openai::sse::SseDecoder;
use workers_openai::wire::ErrorBody;

/// Reads and writes again; says whether it could be read, and panics where it has changed.
fn survives<T: DeserializeOwned + Serialize>(json: &[u8], what: &str) -> bool {
    let Ok(typed) = serde_json::from_slice::<T>(json) else { return false };
    let before: Value = serde_json::from_slice(json).expect("it was read");
    let text = serde_json::to_string(&typed).expect("written");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), before, "{what}");
    true
}

fn request(trace: &Trace) -> Option<bool> {
    let (body, name) = (&trace.request, &trace.name);
    match (&*trace.method, &*trace.path) {
        ("POST", "/completion") => Some(survives::<CompletionRequest>(body, name)),
        ("POST", "/tokenize") => Some(survives::<TokenizeRequest>(body, name)),
        ("POST", "/detokenize") => Some(survives::<DetokenizeRequest>(body, name)),
        ("POST", "/apply-template") => Some(survives::<TemplateRequest>(body, name)),
        _ => None,
    }
}

fn response(trace: &Trace) -> Option<bool> {
    let (body, name) = (&trace.response(), &trace.name);
    let path = trace.path.split('?').next().unwrap_or_default();
    match (path, trace.status) {
        ("/completion", 200) => Some(survives::<Completion>(body, name)),
        ("/tokenize", 200) => Some(survives::<TokenizeResponse>(body, name)),
        ("/detokenize", 200) => Some(survives::<DetokenizeResponse>(body, name)),
        ("/apply-template", 200) => Some(survives::<TemplateResponse>(body, name)),
        ("/props", 200) => Some(survives::<Props>(body, name)),
        ("/slots", 200) => Some(survives::<Vec<Slot>>(body, name)),
        ("/health", 200) => Some(survives::<Health>(body, name)),
        ("/completion" | "/slots" | "/health", 400..) => Some(survives::<ErrorBody>(body, name)),
        _ => None,
    }
}

/// The data of all events.
fn events(trace: &Trace) -> Vec<Bytes> {
    let mut decoder = SseDecoder::new();
    trace.chunks.iter().for_each(|chunk| decoder.push(chunk.clone()));
    decoder.finish();
    std::iter::from_fn(|| decoder.next_event()).map(|event| event.expect("an event").into_data()).collect()
}

fn native() -> impl Iterator<Item = Trace> {
    traces::all().into_iter().filter(|trace| trace.name.starts_with("llamacpp/"))
}

#[test]
fn every_recorded_exchange_survives() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |what| *seen.entry(what).or_default() += 1;
    for trace in native() {
        // Requests that are no JSON were sent on purpose, and some streams were broken off in the middle of an event.
        if request(&trace) == Some(true) {
            count("requests");
        }
        if trace.event_stream && trace.path == "/completion" {
            let events = events(&trace);
            let read = events.iter().filter(|event| survives::<Completion>(event, &trace.name)).count();
            assert!(read + 1 >= events.len(), "{}: {read} of {}", trace.name, events.len());
            (0..read).for_each(|_| count("events"));
        } else if !trace.event_stream
            && let Some(read) = response(&trace)
        {
            assert!(read, "{}", trace.name);
            count("responses");
        }
    }
    assert!(seen["requests"] >= 28 && seen["responses"] >= 25 && seen["events"] >= 500, "{seen:?}");
}

#[test]
fn fields_have_their_types() {
    let read = |name: &str| traces::load(&format!("llamacpp/{name}"));
    let props: Props = serde_json::from_slice(&read("props").response()).expect("properties");
    assert_eq!(props.total_slots.get(), Some(&2));
    assert_eq!(props.default_generation_settings.get().expect("settings").n_ctx.get(), Some(&2048));
    let ids: CompletionRequest = serde_json::from_slice(&read("completion_token_ids").request).expect("a request");
    let parts = [262, 270, 300].map(PromptPart::Token).to_vec();
    assert_eq!(ids.prompt.get(), Some(&Prompt::Parts(parts)));
    let answer: Completion = serde_json::from_slice(&read("completion_token_ids").response()).expect("an answer");
    assert_eq!(answer.tokens.get(), Some(&vec![292, 393, 243]));
    let pieces: TokenizeResponse = serde_json::from_slice(&read("tokenize").response()).expect("tokens");
    let first = pieces.tokens.get().expect("tokens").first().expect("one").clone();
    assert!(matches!(first, Token::Piece { id: 402, .. }), "{first:?}");
}
