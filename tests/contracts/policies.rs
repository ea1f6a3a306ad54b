//! What a full queue does with a newcomer, at the door and between stages.

use futures_util::FutureExt;
use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;

use crate::common::{Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, gated, one_gated, poll_once, settle};

const FULL: ErrorKind = ErrorKind::Refused(RefuseReason::QueueFull);
const EVICTED: ErrorKind = ErrorKind::Shed(ShedReason::Evicted);

fn kind_now(answer: &mut Answer<Ask>) -> Option<ErrorKind> {
    answer.output().now_or_never().and_then(Result::err).map(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn under_backpressure_submit_waits_and_try_submit_refuses() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let _running = pipeline.submit(ask(0)).await?;
    settle().await;
    let _queued = pipeline.try_submit(ask(1))?;
    let error = pipeline.try_submit(ask(2)).expect_err("the door is full");
    assert_eq!((error.kind(), error.stage(), error.is_transient()), (FULL, None, true));
    let mut waiting = Box::pin(pipeline.submit(ask(3)));
    assert!(poll_once(&mut waiting).await.is_none());
    settle().await;
    assert!(poll_once(&mut waiting).await.is_none());
    assert_eq!((pipeline.stats().accepted, pipeline.stats().refused), (2, 1));
    let clock = Stopwatch::start();
    gate.open();
    assert_eq!(waiting.await?.output().await?.number, 3);
    clock.assert_still();
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reject_new_turns_the_newcomer_away() -> TestResult {
    let gate = Gate::shut();
    let config = StageConfig::new().depth(1).concurrency(1).shed(ShedPolicy::RejectNew);
    let pipeline = one_gated(config, &gate)?;
    let mut running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = pipeline.submit(ask(1)).await?;
    for class in Priority::ALL {
        let error = pipeline.submit(ask(2).priority(class)).await.expect_err("the door is full");
        assert_eq!(error.kind(), FULL, "{class:?}");
        assert_eq!(pipeline.try_submit(ask(3).priority(class)).expect_err("the door is full").kind(), FULL);
    }
    gate.open();
    assert_eq!((running.output().await?.number, queued.output().await?.number), (0, 1));
    let stats = pipeline.stats();
    assert!(stats.refused_by_reason.contains(&(RefuseReason::QueueFull, 6)));
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_evicts_the_oldest_of_the_lowest_class_and_never_for_a_lower_newcomer() -> TestResult {
    use Priority::{High, Low, Normal};
    let gate = Gate::shut();
    let config = StageConfig::new().depth(3).concurrency(1).shed(ShedPolicy::DropOldest);
    let pipeline = one_gated(config, &gate)?;
    let mut running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut high = pipeline.submit(ask(1).priority(High)).await?;
    let mut first_low = pipeline.submit(ask(2).priority(Low)).await?;
    let mut second_low = pipeline.submit(ask(3).priority(Low)).await?;

    // Each newcomer, and whom it costs its place; told at once, before any other task has had a turn.
    let mut third_low = pipeline.submit(ask(4).priority(Low)).await?;
    assert_eq!((kind_now(&mut first_low), kind_now(&mut second_low)), (Some(EVICTED), None));
    let mut first_normal = pipeline.try_submit(ask(5).priority(Normal))?;
    assert_eq!((kind_now(&mut second_low), kind_now(&mut third_low)), (Some(EVICTED), None));
    let mut second_normal = pipeline.submit(ask(6).priority(Normal)).await?;
    assert_eq!((kind_now(&mut third_low), kind_now(&mut first_normal)), (Some(EVICTED), None));
    for refused in [pipeline.submit(ask(7).priority(Low)).await, pipeline.try_submit(ask(8).priority(Low))] {
        assert_eq!(refused.expect_err("only higher classes are queued").kind(), FULL);
    }
    let mut second_high = pipeline.submit(ask(9).priority(High)).await?;
    assert_eq!((kind_now(&mut first_normal), kind_now(&mut second_normal)), (Some(EVICTED), None));
    let mut third_high = pipeline.submit(ask(10).priority(High)).await?;
    assert_eq!(kind_now(&mut second_normal), Some(EVICTED));
    assert_eq!(pipeline.submit(ask(11).priority(Normal)).await.expect_err("only higher ones").kind(), FULL);
    // Within the highest class the oldest goes.
    let mut fourth_high = pipeline.submit(ask(12).priority(High)).await?;
    assert_eq!(kind_now(&mut high), Some(EVICTED));

    gate.open();
    for (answer, number) in [(&mut running, 0), (&mut second_high, 9), (&mut third_high, 10), (&mut fourth_high, 12)] {
        assert_eq!(answer.output().await?.number, number);
    }
    let stats = pipeline.stats();
    assert_eq!((stats.shed, stats.refused, stats.answered), (6, 3, 4));
    assert!(stats.stages[0].shed_by_reason.contains(&(ShedReason::Evicted, 6)));
    assert_balanced(&stats);
    Ok(())
}

/// A pipeline whose second stage takes one, queues one and sheds by `policy`.
fn inner(policy: ShedPolicy, gate: &Gate) -> Result<Pipeline<Ask, Ask>, BuildError> {
    let first = Pipeline::builder("inner").then("first", |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
    gated(first, "second", StageConfig::new().depth(1).concurrency(1).shed(policy), gate).build()
}

#[tokio::test(start_paused = true)]
async fn an_inner_queue_sheds_by_its_own_policy() -> TestResult {
    for (policy, reason, victim) in
        [(ShedPolicy::RejectNew, ShedReason::QueueFull, 2), (ShedPolicy::DropOldest, ShedReason::Evicted, 1)]
    {
        let gate = Gate::shut();
        let pipeline = inner(policy, &gate)?;
        let mut answers = Vec::new();
        for number in 0..3 {
            answers.push(pipeline.submit(ask(number)).await?);
            settle().await;
        }
        let error = answers.remove(victim).output().await.expect_err("it was shed");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(reason), Some("second")), "{policy:?}");
        assert!(error.is_shed() && error.is_transient());
        gate.open();
        for answer in &mut answers {
            answer.output().await?;
        }
        let stats = pipeline.stats();
        assert_eq!((stats.shed, stats.answered, stats.refused), (1, 2, 0));
        assert!(stats.stages[1].shed_by_reason.contains(&(reason, 1)), "{stats:#?}");
        assert_balanced(&stats);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_inner_queue_under_backpressure_sheds_nothing() -> TestResult {
    let gate = Gate::shut();
    let pipeline = inner(ShedPolicy::Backpressure, &gate)?;
    let mut answers = Vec::new();
    for number in 0..100 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    settle().await;
    gate.open();
    for (answer, number) in answers.iter_mut().zip(0..) {
        assert_eq!(answer.output().await?.number, number);
    }
    assert_eq!((pipeline.stats().answered, pipeline.stats().shed), (100, 0));
    assert_balanced(&pipeline.stats());
    Ok(())
}
