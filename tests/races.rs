//! Moments in which two things happen at once, tried until they have met.
//!
//! Each is one that went wrong before; `conservation` tries everything at once.

use std::num::NonZeroUsize;
use std::time::Duration;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Longer than any of this takes.
const TOO_LONG: Duration = Duration::from_secs(20);

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            yield_now().await;
        }
    };
    assert!(timeout(TOO_LONG, wait).await.is_ok(), "never: {what}");
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_time().build().expect("a runtime")
}

/// What waits at the door when the runtime of the pipeline goes was refused, not cancelled.
#[test]
fn a_runtime_that_stops_refuses_who_waits_at_the_door() {
    let (callers, doomed) = (runtime(2), runtime(1));
    let pipeline = Pipeline::builder("doomed")
        .then_with("stuck", StageConfig::new().depth(1).concurrency(1), |_cx, _: u64| {
            std::future::pending::<Result<u64, BoxError>>()
        })
        .build()
        .expect("builds");
    let mut inside = doomed.block_on(async { pipeline.submit(0).await.expect("let in") });
    let submit = |number| {
        let pipeline = pipeline.clone();
        async move { pipeline.submit(number).await }
    };
    callers.block_on(async {
        eventually("it runs", || pipeline.stats().stages[0].depth == 0).await;
        let mut queued = submit(1).await.expect("let in");
        let waiting: Vec<_> = (2..10).map(|number| tokio::spawn(submit(number))).collect();
        eventually("they wait", || pipeline.stats().submitted == 10).await;
        doomed.shutdown_background();
        for caller in waiting {
            let error = caller.await.expect("does not panic").expect_err("nobody lets it in");
            assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Draining));
        }
        assert!(queued.output().await.expect_err("nobody runs it").is_cancelled());
        assert!(inside.output().await.expect_err("nobody runs it").is_cancelled());
    });
    let stats = pipeline.stats();
    assert_eq!((stats.submitted, stats.refused, stats.accepted, stats.cancelled), (10, 8, 2, 2));
    assert_eq!((stats.in_flight, stats.withdrawn), (0, 0));
}

/// A slot taken for a request that is cancelled at that moment does not stay with a stage that has nothing to do.
#[test]
fn an_idle_stage_holds_no_slot() {
    let slots = Slots::new(NonZeroUsize::MIN);
    let worker = MockWorker::new(Script::tokens(1)).slots(slots.clone());
    let patient = StageConfig::new().shed(ShedPolicy::Backpressure);
    let pipeline =
        Pipeline::builder("idle").stage_with(InferenceStage::new(worker), patient).stage(StreamStage::default());
    let pipeline = pipeline.build().expect("builds");
    let callers = runtime(3);
    // What comes and goes while the stage looks, and nothing after that.
    let flicker = |seed: u32| {
        let pipeline = pipeline.clone();
        callers.spawn(async move {
            for turn in 0..8 {
                let answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
                for _ in 0..(seed * 7 + turn * 13) % 97 {
                    std::hint::spin_loop();
                }
                drop(answer);
            }
        })
    };
    callers.block_on(async {
        for round in 0..30_000 {
            for caller in [flicker(round), flicker(round + 31), flicker(round + 57)] {
                caller.await.expect("does not panic");
            }
            eventually("the slot is free", || pipeline.stats().in_flight == 0 && slots.free() == 1).await;
        }
    });
}

/// What is queued between a stage's look for how many slots it needs and its look for whom they are is not left lying.
#[test]
fn a_stage_with_slots_does_not_sleep_on_what_is_queued() {
    let slots = Slots::new(NonZeroUsize::new(64).expect("not zero"));
    let patient = StageConfig::new().queued().slots(slots).shed(ShedPolicy::Backpressure);
    let pipeline = Pipeline::builder("slots")
        .then_with("work", patient, |_cx, n: u64| async move { Ok::<_, BoxError>(n) })
        .build()
        .expect("builds");
    let mut rng = fastrand::Rng::with_seed(7);
    // The caller is no task of the runtime: it submits while the stage looks.
    runtime(1).block_on(async {
        for round in 0..40_000 {
            let mut answers = Vec::new();
            for number in 0..2 + round % 5 {
                answers.push(pipeline.submit(number).await.expect("let in"));
                for _ in 0..rng.u32(0..2_000) {
                    std::hint::spin_loop();
                }
            }
            for mut answer in answers {
                let output = timeout(TOO_LONG, answer.output()).await;
                output.expect("it is not forgotten").expect("answered");
            }
        }
    });
}

/// A stream that starts in the moment in which a drain cancels everything is cancelled, too.
#[test]
fn no_stream_escapes_a_drain() {
    runtime(4).block_on(async {
        for round in 0..400 {
            let delivery = StreamStage::default();
            let delivery = if round % 2 == 0 { delivery } else { delivery.direct() };
            let worker = MockWorker::new(Script::new().streaming().text("t").hang());
            let pipeline = Pipeline::builder("endless")
                .stage(InferenceStage::new(worker.clone()))
                .stage(delivery)
                .build()
                .expect("builds");
            let submit = |_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    let Ok(mut answer) = pipeline.submit(PromptRequest::new("?")).await else { return };
                    while answer.next().await.is_some_and(|event| event.is_ok()) {}
                })
            };
            let callers: Vec<_> = (0..64).map(submit).collect();
            eventually("they are let in", || pipeline.stats().accepted > round % 64).await;
            let drained = timeout(TOO_LONG, pipeline.drain(Duration::ZERO)).await;
            assert!(drained.is_ok(), "still inside: {:?}", pipeline.stats());
            assert_eq!(worker.stats().live, 0);
            for caller in callers {
                caller.await.expect("does not panic");
            }
        }
    });
}

/// An answer that was there before it was cancelled stays to be read.
#[tokio::test]
async fn cancelling_what_was_answered_changes_nothing() {
    let pipeline = Pipeline::builder("echo")
        .then("echo", |_cx, number: u64| async move { Ok::<_, BoxError>(number) })
        .build()
        .expect("builds");
    let mut answer = pipeline.submit(7).await.expect("let in");
    eventually("it is answered", || pipeline.stats().answered == 1).await;
    answer.cancel();
    assert_eq!(answer.output().await.expect("answered"), 7);
    assert_eq!(pipeline.stats().cancelled, 0);
}
