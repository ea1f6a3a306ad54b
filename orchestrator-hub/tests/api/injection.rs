//! Whatever a model says, the stream around it stays the same.

use std::sync::{Arc, Mutex};

use hub_rig::Rig;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{FinishReason, TextDelta, TokenEvent, Usage};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use workers_openai::sse::{SseDecoder, SseEvent};

/// What would end an event, begin another, or a line, if it were written as it is.
const ODD: [&str; 12] = [
    "\n\n",
    "\r",
    "\r\n",
    "data: [DONE]\n\n",
    "event: error\n",
    "\u{2028}",
    "\0",
    ":",
    "\"}\n\ndata: {",
    "id: 1\n",
    "é",
    "\u{feff}",
];

fn piece() -> impl Strategy<Value = (String, Frame)> {
    let odd = proptest::sample::select(ODD.as_slice()).prop_map(str::to_owned);
    let text = prop_oneof![odd, any::<String>().prop_filter("an empty text is no piece", |text| !text.is_empty())];
    (text, prop_oneof![Just(Frame::None), Just(Frame::OneLine), Just(Frame::Lines("\n")), Just(Frame::Lines("\r\n"))])
}

/// How a server sent a piece of text, if that is known.
#[derive(Debug, Clone, Copy)]
enum Frame {
    None,
    OneLine,
    Lines(&'static str),
}

fn event(text: &str, frame: Frame) -> TokenEvent {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
    let break_ = match frame {
        Frame::None => return TokenEvent::text_delta(text),
        Frame::OneLine => "",
        Frame::Lines(break_) => break_,
    };
    let raw = format!(r#"{{"id":"x-1","object":"chat.completion.chunk",{break_}"choices":[{choice}]{break_}}}"#);
    TokenEvent::Text(TextDelta::new(text).with_raw(raw.into()))
}

/// What a client makes of a stream.
async fn decoded(response: reqwest::Response) -> Vec<SseEvent> {
    let mut decoder = SseDecoder::new();
    decoder.push(response.bytes().await.expect("a body"));
    decoder.finish();
    std::iter::from_fn(|| decoder.next_event()).map(|event| event.expect("an event within limits")).collect()
}

fn data(event: &SseEvent) -> Value {
    serde_json::from_slice(event.data()).expect("JSON")
}

/// The pieces of text in a stream of OpenAI's, which ends with `[DONE]` and has it nowhere else.
fn of_chunks(events: &[SseEvent]) -> Vec<String> {
    let (last, events) = events.split_last().expect("an end");
    assert_eq!(&last.data()[..], b"[DONE]");
    assert!(events.iter().all(|event| event.name().is_none() && event.id().is_none()));
    let text = |event| data(event)["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    events.iter().filter_map(text).filter(|text| !text.is_empty()).collect()
}

/// The pieces of text in a stream of Anthropic's, each of whose events has the name of its type.
fn of_message(events: &[SseEvent]) -> Vec<String> {
    let text = |event: &SseEvent| {
        let data = data(event);
        assert_eq!(event.name().map(|name| &name[..]), data["type"].as_str().map(str::as_bytes));
        data["delta"]["text"].as_str().map(str::to_owned)
    };
    assert_eq!(events.last().map(|event| data(event)["type"].clone()), Some(json!("message_stop")));
    events.iter().filter_map(text).collect()
}

#[test]
fn a_stream_reads_back_as_the_texts_that_were_said() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let said: Arc<Mutex<Vec<TokenEvent>>> = Arc::default();
    let says = said.clone();
    let worker = MockWorker::with(move |_| {
        let script = says.lock().expect("nobody panics").iter().cloned().fold(Script::new(), Script::event);
        script.event(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 1)))
    });
    let rig = runtime.block_on(Rig::new(worker));
    let asked = json!({
        "model": "mock", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hello"}],
    });
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() });
    let pieces = proptest::collection::vec(piece(), 1..8);
    let outcome = runner.run(&pieces, |pieces| {
        *said.lock().expect("nobody panics") = pieces.iter().map(|(text, frame)| event(text, *frame)).collect();
        let texts: Vec<_> = pieces.into_iter().map(|(text, _)| text).collect();
        let chunks = runtime.block_on(async { decoded(rig.post("/v1/chat/completions", asked.clone()).await).await });
        prop_assert_eq!(of_chunks(&chunks), &texts[..]);
        let message = runtime.block_on(async { decoded(rig.post("/v1/messages", asked.clone()).await).await });
        prop_assert_eq!(of_message(&message), texts);
        Ok(())
    });
    outcome.expect("every stream reads back");
}
