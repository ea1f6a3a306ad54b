//! The catalogue with scripted workers on the paused clock, with limits as in life.

use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use prompt_orchestrator::worker::WorkerInfo;

use crate::catalogue::CATALOGUE;
use crate::common::{settle, soon};
use crate::fleet::{Actor, Fleet, Limits, SLOTS};
use crate::story::{Act, Begun, PROMPT_TOKENS, Story, WORDS, whole, word};
use crate::told::Told;

/// A worker that plays its part; its context is of so many tokens.
pub(crate) fn actor(name: &str, acts: &'static [Act], context: u64) -> Actor {
    Actor::new(WorkerInfo::new(name).context_length(context), move |call, request| {
        script(Script::new(), acts[call.min(acts.len() - 1)], request)
    })
}

/// What a worker does, behind what it does first, that goes on behind what there is of the answer.
pub(crate) fn script(first: Script, act: Act, request: &InferenceRequest) -> Script {
    use WorkerErrorKind as Kind;
    let begun = request.prefix.as_ref().map_or(0, |prefix| prefix.text.split_whitespace().count());
    let says = |first: Script, to| (begun..to).fold(first.streaming(), |script, place| script.text(&word(place)));
    let usage = Usage::new(PROMPT_TOKENS + begun as u64, (WORDS - begun) as u64);
    let answers = |first| says(first, WORDS).event(TokenEvent::finish(FinishReason::Stop, usage));
    let error = WorkerError::new;
    match act {
        Act::Answers | Act::WithoutMark => answers(first),
        Act::Limited(None) => first.fail(error(Kind::RateLimited, "slow down").with_status(429)),
        Act::Limited(Some(seconds)) => {
            let after = Duration::from_secs(seconds);
            first.fail(error(Kind::RateLimited, "slow down").with_status(429).with_retry_after(after))
        }
        Act::Status(503) => first.fail(error(Kind::Overloaded, "no room").with_status(503)),
        Act::Status(status) => first.fail(error(Kind::Transient, "it broke").with_status(status)),
        Act::Resets => first.fail(error(Kind::Transient, "connection reset")),
        Act::Silent => first.hang(),
        Act::Late => answers(first.streaming().delay(Duration::from_secs(20))),
        Act::CutAfter(words) => says(first, words),
        Act::StallsAfter(words) => says(first, words).hang(),
        Act::MalformedAfter(words) => says(first, words).fail(error(Kind::Protocol, "no event")),
        Act::Unfinished => says(first, WORDS),
        Act::TooLong => {
            let kind = Kind::ContextLength { prompt_tokens: Some(3009), limit: Some(2048) };
            first.fail(error(kind, "the prompt is too long").with_status(400))
        }
        Act::Filtered => first.fail(error(Kind::ContentFilter, "it was filtered").with_status(400)),
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

/// What is not tried again at the same worker is not given up while the other has no slot free.
#[tokio::test(start_paused = true)]
async fn a_garbled_answer_waits_for_a_member_that_is_busy() {
    let primary = actor("primary", &[Act::MalformedAfter(0)], 8_192);
    let fallback = actor("fallback", &[Act::Answers], 8_192);
    let fleet = Fleet::of(primary.clone(), fallback.clone(), Limits::in_life());
    let busy = ModelWorker::slots(&fallback).expect("it has some");
    let held: Vec<_> = (0..SLOTS).map(|_| busy.try_acquire().expect("they are free")).collect();
    let mut answer = fleet.pipeline.submit("?".into()).await.expect("nobody else is there");
    settle().await;
    assert_eq!((primary.called().len(), fallback.called().len()), (1, 0));
    drop(held);
    assert_eq!(soon(answer.text()).await.expect("it is answered"), whole());
}
