//! A deadline inside a stage: in a run, in an output that a full queue blocks, and in one held back for its order.

use prompt_orchestrator::prelude::*;

use crate::common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, gated, one_gated, placements, settle, until,
};
use crate::{FAR, NEAR, error_of, fused};

#[tokio::test(start_paused = true)]
async fn running_it_fails_in_its_stage_and_the_permit_is_free() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(1), &gate)?;
        let mut answer = pipeline.submit(ask(0).within(NEAR)).await?;
        let mut next = pipeline.submit(ask(1)).await?;
        let clock = Stopwatch::start();
        let error = error_of(&mut answer).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("work")), "{place}");
        let freed = Stopwatch::start();
        until("the next one runs", || gate.entered() == 2).await;
        assert_eq!(gate.dropped(), 1, "{place}");
        gate.open();
        assert_eq!(next.output().await?.number, 1);
        freed.assert_still();
        let stats = pipeline.stats();
        assert_eq!((stats.failed, stats.answered), (1, 1));
        assert_balanced(&stats);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn running_inline_it_fails_in_the_inner_stage() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = fused(config.concurrency(1), StageConfig::new(), &gate)?;
        let mut answer = pipeline.submit(ask(0).within(NEAR)).await?;
        let clock = Stopwatch::start();
        let error = error_of(&mut answer).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("inner")), "{place}");
        until("the run is dropped", || gate.dropped() == 1).await;
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_nearer_deadline_of_a_later_run_is_not_missed() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config, &gate)?;
        let _patient = pipeline.submit(ask(0)).await?;
        let mut far = pipeline.submit(ask(1).within(FAR)).await?;
        settle().await;
        let mut near = pipeline.submit(ask(2).within(NEAR)).await?;
        let clock = Stopwatch::start();
        assert_eq!(error_of(&mut near).await.kind(), ErrorKind::Deadline, "{place}");
        clock.assert_at(NEAR);
        assert_eq!(error_of(&mut far).await.kind(), ErrorKind::Deadline, "{place}");
        clock.assert_at(FAR);
        assert_eq!((gate.inside(), gate.dropped()), (1, 2));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_a_blocked_output_it_fails_in_the_stage_that_holds_it() -> TestResult {
    for (place, config) in placements() {
        let (before, behind) = (Gate::shut(), Gate::shut());
        before.let_through(3);
        let first = gated(Pipeline::builder("blocked"), "before", config.concurrency(1), &before);
        let pipeline = gated(first, "behind", StageConfig::new().depth(1).concurrency(1), &behind).build()?;
        let _running = pipeline.submit(ask(0)).await?;
        let _queued = pipeline.submit(ask(1)).await?;
        settle().await;
        let mut blocked = pipeline.submit(ask(2).within(NEAR)).await?;
        let _next = pipeline.submit(ask(3)).await?;
        settle().await;
        assert_eq!((before.entered(), behind.entered()), (3, 1), "{place}");

        let clock = Stopwatch::start();
        let error = error_of(&mut blocked).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("before")), "{place}");
        until("its place is free", || before.entered() == 4).await;
        assert_eq!((pipeline.stats().failed, pipeline.stats().shed), (1, 0));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn held_back_for_its_order_it_fails_and_its_place_is_free() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let waits = gate.clone();
        let pipeline = Pipeline::builder("ordered")
            .then_with("work", config.ordered().concurrency(2), move |_cx, ask: Ask| {
                let gate = waits.clone();
                async move {
                    if ask.number != 1 {
                        gate.pass().await;
                    }
                    Ok::<_, BoxError>(ask)
                }
            })
            .build()?;
        let mut first = pipeline.submit(ask(0)).await?;
        let mut held = pipeline.submit(ask(1).within(NEAR)).await?;
        let mut last = pipeline.submit(ask(2)).await?;
        settle().await;
        let clock = Stopwatch::start();
        let error = error_of(&mut held).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("work")), "{place}");
        until("its place is free", || gate.entered() == 2).await;
        gate.open();
        assert_eq!((first.output().await?.number, last.output().await?.number), (0, 2));
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
