//! The catalogue with scripted workers on the paused clock, with limits as in life.

use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use prompt_orchestrator::worker::WorkerInfo;

use crate::catalogue::CATALOGUE;
use crate::common::soon;
use crate::fleet::{Actor, Fleet, Limits};
use crate::story::{Act, Begun, PROMPT_TOKENS, Story, WORDS, word};
use crate::told::Told;

/// A worker that plays its part; its context is of so many tokens.
pub(crate) fn actor(name: &str, acts: &'static [Act], context: u64) -> Actor {
    Actor::new(WorkerInfo::new(name).context_length(context), move |call, request| {
        script(acts[call.min(acts.len() - 1)], request)
    })
}

/// What a worker does that goes on behind what there is of the answer.
pub(crate) fn script(act: Act, request: &InferenceRequest) -> Script {
    let begun = request.prefix.as_ref().map_or(0, |prefix| prefix.text.split_whitespace().count());
    let says = |to: usize| (begun..to).fold(Script::new().streaming(), |script, place| script.text(&word(place)));
    let finish = || {
        let usage = Usage::new(PROMPT_TOKENS + begun as u64, (WORDS - begun) as u64);
        says(WORDS).event(TokenEvent::finish(FinishReason::Stop, usage))
    };
    let fails = |kind, message: &str| WorkerError::new(kind, message);
    match act {
        Act::Answers | Act::WithoutMark => finish(),
        Act::Limited(after) => {
            let error = fails(WorkerErrorKind::RateLimited, "slow down").with_status(429);
            Script::new().fail(match after {
                Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
                None => error,
            })
        }
        Act::Status(503) => Script::new().fail(fails(WorkerErrorKind::Overloaded, "no room").with_status(503)),
        Act::Status(status) => Script::new().fail(fails(WorkerErrorKind::Transient, "it broke").with_status(status)),
        Act::Resets => Script::new().fail(fails(WorkerErrorKind::Transient, "connection reset")),
        Act::Silent => Script::new().hang(),
        Act::Late => {
            let usage = Usage::new(PROMPT_TOKENS, WORDS as u64);
            let late = Script::new().streaming().delay(Duration::from_secs(20));
            (0..WORDS)
                .fold(late, |script, place| script.text(&word(place)))
                .event(TokenEvent::finish(FinishReason::Stop, usage))
        }
        Act::CutAfter(words) => says(words),
        Act::StallsAfter(words) => says(words).hang(),
        Act::MalformedAfter(words) => says(words).fail(fails(WorkerErrorKind::Protocol, "no event")),
        Act::Unfinished => says(WORDS),
        Act::TooLong => {
            let kind = WorkerErrorKind::ContextLength { prompt_tokens: Some(3009), limit: Some(2048) };
            Script::new().fail(fails(kind, "the prompt is too long").with_status(400))
        }
        Act::Filtered => Script::new().fail(fails(WorkerErrorKind::ContentFilter, "it was filtered").with_status(400)),
    }
}

async fn play(story: &Story, begun: Begun) -> Vec<String> {
    let primary = actor("primary", story.primary, 2_048);
    let fallback = actor("fallback", story.fallback, 8_192).begun(begun);
    let fleet = Fleet::of(primary.clone().begun(Begun::Cannot), fallback.clone(), Limits::in_life());
    let told = soon(Told::by(&fleet)).await;
    let mut complaints = told.complaints(story, begun, &[primary.called(), fallback.called()]);
    let [earliest, latest] = story.between;
    let broken = story.ends(begun) != story.ends;
    if told.took > latest || (told.took < earliest && !broken) {
        complaints.push(format!("{}, the fallback {begun:?}: it took {:?}", story.fault, told.took));
    }
    complaints
}

#[tokio::test(start_paused = true)]
async fn every_fault_ends_in_the_whole_answer_or_in_one_clear_error() {
    let mut complaints = Vec::new();
    for begun in [Begun::GoesOn, Begun::Cannot, Begun::Refuses] {
        for story in CATALOGUE {
            complaints.extend(play(story, begun).await);
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
