//! Pipelines that call a worker and stream its tokens: every policy, every way of delivery, both ways to end.

use std::num::NonZeroUsize;
use std::time::Duration;

use fastrand::Rng;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::pipeline::Builder;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::time::sleep;

use crate::books::Outcome;
use crate::chance::{chance, enter, options, trouble, yields};
use crate::run::{End, Run};

const SLOTS: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
/// Per policy: four ways of delivery, two ways to end.
const TOKEN_REQUESTS: u64 = 52_000;

#[test]
fn tokens_under_backpressure() {
    streams(ShedPolicy::Backpressure);
}

#[test]
fn tokens_where_newcomers_are_rejected() {
    streams(ShedPolicy::RejectNew);
}

#[test]
fn tokens_where_the_oldest_is_dropped() {
    streams(ShedPolicy::DropOldest);
}

fn streams(policy: ShedPolicy) {
    let buffered = StreamStage::default().buffered(NonZeroUsize::new(2).expect("not zero"));
    let direct = StreamStage::default().direct();
    let config = StageConfig::new;
    let ways = [
        ("buffered", &buffered, config()),
        ("buffered, spawned", &buffered, config().spawned().ordered()),
        ("direct", &direct, config()),
        ("direct, queued", &direct, config().queued().depth(4).shed(policy)),
    ];
    for (way, delivery, config) in ways {
        for end in [End::Quiet, End::Rush] {
            let run = Run::new(&format!("{policy:?}, {way}, {end:?}"), end, TOKEN_REQUESTS / 8);
            let slots = Slots::new(SLOTS);
            let worker = MockWorker::with(|request| script(request, 4)).slots(slots.clone());
            let delivery = delivery.clone().reader_stall(Duration::from_millis(3));
            let pipeline = token_builder(worker.clone(), policy).stage_with(delivery, config.clone()).build();
            run.check(&pipeline.expect("builds"), Some((&worker, &slots)), prompt_life);
        }
    }
}

pub(crate) fn token_builder(worker: impl ModelWorker, policy: ShedPolicy) -> Builder<PromptRequest, TokenStream> {
    let small = StageConfig::new().shed(policy).depth(4);
    Pipeline::builder("conservation")
        .then_with("rag", small.clone().spawned().concurrency(8), |cx, prompt: PromptRequest| async move {
            trouble(&mut chance(&cx, 0)).await.map(|()| prompt)
        })
        .then_with("assemble", small.clone().ordered().concurrency(4), |cx, prompt: PromptRequest| async move {
            trouble(&mut chance(&cx, 1)).await.map(|()| InferenceRequest::new(prompt, cx))
        })
        .then_with("check", StageConfig::new().inline(), |cx, request: InferenceRequest| async move {
            trouble(&mut chance(&cx, 2)).await.map(|()| request)
        })
        .stage_with(InferenceStage::new(worker), StageConfig::new().shed(policy).depth(16))
        .then_with("late", small.concurrency(2), |cx, stream: TokenStream| async move {
            trouble(&mut chance(&cx, 3)).await.map(|()| stream)
        })
}

/// Submits a prompt and reads, or does not read, its answer.
pub(crate) async fn prompt_life(pipeline: Pipeline<PromptRequest, Tokens>, mut rng: Rng) -> Outcome {
    let prompt = PromptRequest::new("?").options(options(&mut rng));
    let mut answer = match enter(&pipeline, prompt, &mut rng).await {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    // Either before there is anything to read, or in mid-stream.
    if rng.bool() {
        yields(rng.u32(0..8)).await;
    } else {
        for _ in 0..rng.u8(0..6) {
            match answer.next().await {
                Some(Ok(event)) if event.is_terminal() => return Outcome::Answered,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Outcome::inside(&error),
                None => panic!("neither answer nor error"),
            }
        }
    }
    match rng.u16(0..1000) {
        0..150 => Outcome::LeftInside,
        150..250 => {
            answer.detach();
            Outcome::LeftInside
        }
        250..350 => {
            answer.cancel();
            read(answer, 0).await
        }
        350..352 => {
            // Longer than the stage's patience.
            sleep(Duration::from_millis(6)).await;
            read(answer, 0).await
        }
        352..500 => read(answer, rng.u32(1..4)).await,
        _ => read(answer, 0).await,
    }
}

/// Reads to the end, with pauses.
async fn read(mut answer: Answer<Tokens>, pause: u32) -> Outcome {
    let mut finished = false;
    while let Some(event) = answer.next().await {
        assert!(!finished, "an event behind the last one");
        match event {
            Ok(event) => finished = event.is_terminal(),
            Err(error) => {
                assert!(answer.next().await.is_none(), "an event behind the error");
                return Outcome::inside(&error);
            }
        }
        yields(pause).await;
    }
    // Without an error it was answered, even where `cancel` came too late and took away what was not read.
    Outcome::Answered
}

/// What a worker does for a request, by its own numbers: one of everything.
pub(crate) fn script(request: &InferenceRequest, number: u64) -> Script {
    let mut rng = chance(&request.context, number);
    let transient = || WorkerError::new(WorkerErrorKind::Transient, "expected");
    let call = match rng.u8(0..10) {
        0 => Script::new().delay(Duration::from_micros(rng.u64(0..300))),
        1..4 => Script::new().yields(),
        _ => Script::new(),
    };
    let events = rng.u8(0..10);
    let stream = |script: Script| {
        (0..events)
            .fold(script.streaming(), |script, event| if event % 3 == 2 { script.yields() } else { script.text("t") })
    };
    match rng.u8(0..40) {
        0 => call.fail(transient()),
        1 => call.panic("expected: in infer"),
        2 => stream(call).fail(transient()),
        3 => stream(call).panic("expected: in the stream"),
        4 => stream(call),
        // Only what has a deadline comes back from there.
        5 if request.context.deadline().is_some_and(near) => call.hang(),
        6 if request.context.deadline().is_some_and(near) => stream(call).hang(),
        7 => stream(call).delay(Duration::from_micros(300)).finish(),
        _ => stream(call).finish(),
    }
}

fn near(deadline: tokio::time::Instant) -> bool {
    deadline < tokio::time::Instant::now() + Duration::from_millis(100)
}
