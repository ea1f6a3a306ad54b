//! Whoever cancels, how often and how late: a request ends once, also on many threads.

use std::time::Duration;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{
    Ask, Gate, TestResult, ask, assert_balanced, both_deliveries, one_gated, placements, poll_once, settle, slots,
    streaming, until, until_on_threads,
};

#[tokio::test(start_paused = true)]
async fn cancelling_what_has_ended_does_nothing() -> TestResult {
    let pipeline =
        Pipeline::builder("ended").then("same", |_cx, n: u64| async move { Ok::<_, BoxError>(n) }).build()?;
    let mut answer = pipeline.submit(7).await?;
    until("it has ended", || pipeline.stats().answered == 1).await;
    answer.cancel();
    assert_eq!(answer.output().await?, 7, "the output is still there");
    let stats = pipeline.stats();
    assert_eq!((stats.answered, stats.cancelled), (1, 0));

    let worker = MockWorker::new(Script::answering("a b"));
    let pipeline = streaming(worker, StreamStage::default())?;
    let mut answer = pipeline.submit("?".into()).await?;
    until("the stream has ended", || pipeline.stats().answered == 1).await;
    answer.cancel();
    assert_eq!(answer.text().await?, "a b");
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cancelling_twice_counts_once() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let mut answer = pipeline.submit(ask(0)).await?;
    settle().await;
    answer.cancel();
    answer.cancel();
    drop(answer);
    settle().await;
    assert_eq!((pipeline.stats().cancelled, gate.dropped()), (1, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cancellation_leaves_no_way_in_for_a_second_ending() -> TestResult {
    // Cancelled and expired and drained at once: it is counted once.
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let second = Duration::from_secs(1);
    let answer = pipeline.submit(ask(0).within(second)).await?;
    settle().await;
    drop(answer);
    pipeline.drain(second).await;
    let stats = pipeline.stats();
    assert_eq!((stats.cancelled, stats.failed, stats.shed), (1, 0, 0));
    assert_balanced(&stats);
    let refused = pipeline.try_submit(ask(1)).expect_err("it drains");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Draining));
    Ok(())
}

/// What callers do who come and go on several threads at once.
async fn come_and_go(pipeline: &Pipeline<Ask, Ask>, turn: u64) {
    let mut waiting = Box::pin(pipeline.submit(ask(turn)));
    // Some leave at once, some after a few turns, at whatever place the request is by then.
    for _ in 0..turn % 5 {
        if let Some(admitted) = poll_once(&mut waiting).await {
            if let (Ok(mut answer), 0) = (admitted, turn % 2) {
                drop(answer.output().await);
            }
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_every_request_is_counted_once() -> TestResult {
    for (_, config) in placements() {
        let pipeline = Pipeline::builder("threads")
            .then_with("work", config.depth(1).concurrency(1), |_cx, ask: Ask| async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(ask)
            })
            .build()?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    for turn in 0..2_000 {
                        come_and_go(&pipeline, turn).await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await?;
        }
        until_on_threads("all have ended", || pipeline.stats().in_flight == 0);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_every_slot_comes_back() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(2);
        let worker = MockWorker::new(Script::new().yields().streaming().text("a").yields().text("b").finish());
        let pipeline = streaming(worker.clone().slots(slots.clone()), stage)?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    for turn in 0..1_000 {
                        let Ok(mut answer) = pipeline.submit("?".into()).await else { return };
                        for _ in 0..turn % 4 {
                            tokio::task::yield_now().await;
                        }
                        for _ in 0..turn % 3 {
                            drop(answer.next().await);
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await?;
        }
        until_on_threads("all have ended", || pipeline.stats().in_flight == 0);
        until_on_threads("all slots are free", || slots.free() == 2);
        until_on_threads("all streams are gone", || worker.stats().live == 0);
        assert!(worker.stats().most_live <= 2, "{delivery}: {:?}", worker.stats());
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
