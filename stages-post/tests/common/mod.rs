//! The stage called by hand, on events that are ready.
#![allow(dead_code, reason = "no test needs all of it")]

use futures_util::{FutureExt, stream};
use orchestrator_core::prelude::*;
use orchestrator_core::token::{Finish, TextDelta, ToolCallDelta};
use stages_post::PostStage;

/// Everything that comes out of `stage` for `events`.
pub(crate) fn run_in(cx: &Context, stage: &PostStage, events: impl IntoIterator<Item = TokenEvent>) -> Vec<TokenEvent> {
    let events: Vec<_> = events.into_iter().map(Ok).collect();
    let run = stage.run(cx, TokenStream::from_stream(stream::iter(events))).now_or_never();
    let mut stream = run.expect("it does not wait").expect("it does not fail");
    let mut out = Vec::new();
    while let Some(event) = ready(&mut stream) {
        out.push(event.expect("no error"));
    }
    out
}

/// The next item of a stream whose source is ready: it waits only to let others have their turn.
fn ready(stream: &mut TokenStream) -> Option<Result<TokenEvent, WorkerError>> {
    (0..1_000).find_map(|_| stream.next().now_or_never()).expect("everything is ready")
}

pub(crate) fn run(stage: &PostStage, events: impl IntoIterator<Item = TokenEvent>) -> Vec<TokenEvent> {
    run_in(&Context::standalone(RequestOptions::new()), stage, events)
}

/// What comes out of `stage` for an answer in `pieces`, after another one that was void.
pub(crate) fn answer(stage: &PostStage, pieces: &[&str]) -> Whole {
    answer_in(&Context::standalone(RequestOptions::new()), stage, pieces)
}

pub(crate) fn answer_in(cx: &Context, stage: &PostStage, pieces: &[&str]) -> Whole {
    let texts = |pieces: &[&str]| pieces.iter().map(|piece| TokenEvent::text_delta(*piece)).collect::<Vec<_>>();
    let again = texts(&["v <thi", "[1", "sk-0", "é"]).into_iter().chain([TokenEvent::Reset]);
    let events = run_in(cx, stage, again.chain(texts(pieces)).chain([finish()]));
    match events.iter().position(|event| *event == TokenEvent::Reset) {
        Some(reset) => Whole::of(&events[reset + 1..]),
        // The void answer was one that a filter ends.
        None => Whole::of(&run_in(cx, stage, texts(pieces).into_iter().chain([finish()]))),
    }
}

pub(crate) fn finish() -> TokenEvent {
    TokenEvent::finish(FinishReason::Stop, Usage::new(3, 4))
}

pub(crate) fn reasoning(text: &str) -> TokenEvent {
    TokenEvent::Reasoning(TextDelta::new(text))
}

pub(crate) fn call(index: u32, arguments: &str) -> TokenEvent {
    TokenEvent::ToolCall(Box::new(ToolCallDelta::new(index, arguments)))
}

/// An answer, its pieces put together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<String>,
    pub(crate) finish: Finish,
}

impl Whole {
    pub(crate) fn of(events: &[TokenEvent]) -> Self {
        let mut whole = Self {
            text: String::new(),
            reasoning: String::new(),
            calls: Vec::new(),
            finish: Finish::new(FinishReason::Stop, Usage::default()),
        };
        let (last, deltas) = events.split_last().expect("a terminal event");
        let TokenEvent::Finish(finish) = last else { panic!("the last event is terminal") };
        whole.finish = finish.clone();
        for event in deltas {
            match event {
                TokenEvent::Text(delta) => {
                    assert!(!delta.text().is_empty(), "no event is without text");
                    whole.text.push_str(delta.text());
                }
                TokenEvent::Reasoning(delta) => whole.reasoning.push_str(delta.text()),
                TokenEvent::ToolCall(call) => {
                    let index = call.index as usize;
                    whole.calls.resize(whole.calls.len().max(index + 1), String::new());
                    whole.calls[index].push_str(&call.arguments);
                }
                TokenEvent::Reset | TokenEvent::Finish(_) => panic!("{event:?} among the deltas"),
            }
        }
        whole
    }
}

/// Cuts `text` at up to as many places as there are `cuts`, between characters.
pub(crate) fn cut<'a>(text: &'a str, cuts: &[proptest::sample::Index]) -> Vec<&'a str> {
    let boundaries: Vec<usize> = (0..=text.len()).filter(|i| text.is_char_boundary(*i)).collect();
    let mut at: Vec<usize> = cuts.iter().map(|cut| *cut.get(&boundaries)).chain([0, text.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}
