//! A deadline at the door, where the request is refused, and in a queue, where it is shed.

use std::time::Duration;

use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::time::Instant;

use crate::common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, gated, one_gated, placements, settle, slots, soon,
    streaming,
};
use crate::{FAR, NEAR, error_of};

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_refused_by_name() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let started = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    for past in [started, Instant::now()] {
        let options = RequestOptions::new().deadline(past);
        let error = pipeline.submit_with(ask(0), options).await.expect_err("it is too late");
        assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Deadline));
        assert_eq!(error.field(), Some("deadline"));
        assert!(error.is_timeout() && !error.is_transient());
    }
    let stats = pipeline.stats();
    assert!(stats.refused_by_reason.contains(&(RefuseReason::Deadline, 2)), "{stats:#?}");
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn at_the_door_it_is_refused() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let mut running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = pipeline.submit(ask(1)).await?;

    let clock = Stopwatch::start();
    let error = soon(pipeline.submit(ask(2).within(NEAR))).await.expect_err("it was never let in");
    clock.assert_at(NEAR);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Refused(RefuseReason::Deadline), None));

    gate.open();
    assert_eq!((running.output().await?.number, queued.output().await?.number), (0, 1));
    let stats = pipeline.stats();
    assert_eq!((stats.refused, stats.answered), (1, 2));
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_the_queue_it_is_shed_while_the_stage_is_used_up() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(1), &gate)?;
        let mut running = pipeline.submit(ask(0)).await?;
        settle().await;
        let mut queued = pipeline.submit(ask(1).within(NEAR)).await?;

        let clock = Stopwatch::start();
        let error = error_of(&mut queued).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(ShedReason::Deadline), Some("work")), "{place}");
        let stats = pipeline.stats();
        assert_eq!((stats.shed, stats.stages[0].depth), (1, 0));
        assert!(stats.stages[0].shed_by_reason.contains(&(ShedReason::Deadline, 1)));

        gate.open();
        assert_eq!(running.output().await?.number, 0);
        assert_eq!(gate.entered(), 1, "{place}: what had run out of time was run");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_the_queue_it_is_shed_while_no_slot_is_free() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::answering("never")).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let taken = slots.acquire().await;
    let mut answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
    let clock = Stopwatch::start();
    let error = soon(answer.text()).await.expect_err("there was no slot");
    clock.assert_at(NEAR);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(ShedReason::Deadline), Some("infer")));
    drop(taken);
    settle().await;
    assert_eq!((slots.free(), worker.stats().calls), (1, 0));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_the_queue_of_an_inner_stage_it_is_shed_there() -> TestResult {
    let gate = Gate::shut();
    let first = Pipeline::builder("inner").then("first", |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
    let pipeline = gated(first, "second", StageConfig::new().concurrency(1), &gate).build()?;
    let _running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = pipeline.submit(ask(1).within(NEAR)).await?;
    let clock = Stopwatch::start();
    let error = error_of(&mut queued).await;
    clock.assert_at(NEAR);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(ShedReason::Deadline), Some("second")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_nearer_deadline_that_comes_later_is_not_missed() -> TestResult {
    // In the queue, behind a far one and behind one without any.
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().concurrency(1), &gate)?;
    let _running = pipeline.submit(ask(0)).await?;
    let _patient = pipeline.submit(ask(1)).await?;
    let mut far = pipeline.submit(ask(2).within(FAR)).await?;
    settle().await;
    let mut near = pipeline.submit(ask(3).within(NEAR)).await?;
    let mut nearest = pipeline.submit(ask(4).within(NEAR / 2)).await?;
    let clock = Stopwatch::start();
    assert!(error_of(&mut nearest).await.is_shed());
    clock.assert_at(NEAR / 2);
    assert!(error_of(&mut near).await.is_shed());
    clock.assert_at(NEAR);
    assert!(error_of(&mut far).await.is_shed());
    clock.assert_at(FAR);
    Ok(())
}
