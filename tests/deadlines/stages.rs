//! A stage's own time limit, alone and beside a deadline.

use prompt_orchestrator::prelude::*;

use crate::common::{Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, one_gated, placements, until};
use crate::{FAR, NEAR, error_of, fused};

#[tokio::test(start_paused = true)]
async fn a_stage_that_takes_too_long_is_named_and_its_permit_is_free() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(1).timeout(NEAR), &gate)?;
        let clock = Stopwatch::start();
        let mut answer = pipeline.submit(ask(0)).await?;
        let mut next = pipeline.submit(ask(1)).await?;
        let error = error_of(&mut answer).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Timeout, Some("work")), "{place}");
        assert!(error.is_timeout() && error.is_transient());
        // The time in the queue does not count.
        let error = error_of(&mut next).await;
        clock.assert_at(2 * NEAR);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{place}");
        until("both runs are dropped", || gate.dropped() == 2).await;
        assert_eq!(pipeline.stats().failed, 2);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_inline_stage_that_takes_too_long_is_named() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = fused(config.timeout(FAR), StageConfig::new().timeout(NEAR), &gate)?;
        let mut answer = pipeline.submit(ask(0)).await?;
        let clock = Stopwatch::start();
        let error = error_of(&mut answer).await;
        clock.assert_at(NEAR);
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Timeout, Some("inner")), "{place}");
        until("the run is dropped", || gate.dropped() == 1).await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_deadline_and_time_limit_the_nearer_one_counts() -> TestResult {
    for (place, config) in placements() {
        for (timeout, deadline, kind) in [(NEAR, FAR, ErrorKind::Timeout), (FAR, NEAR, ErrorKind::Deadline)] {
            let gate = Gate::shut();
            let pipeline = one_gated(config.clone().timeout(timeout), &gate)?;
            let clock = Stopwatch::start();
            let mut answer = pipeline.submit(ask(0).within(deadline)).await?;
            assert_eq!(error_of(&mut answer).await.kind(), kind, "{place}");
            clock.assert_at(NEAR);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_time_is_not_touched() -> TestResult {
    for (place, config) in placements() {
        let pipeline = Pipeline::builder("in time")
            .then_with("work", config.timeout(NEAR), |_cx, ask: Ask| async move {
                tokio::time::sleep(NEAR / 2).await;
                Ok::<_, BoxError>(ask)
            })
            .build()?;
        let mut answer = pipeline.submit(ask(0).within(NEAR)).await?;
        assert_eq!(answer.output().await?.number, 0, "{place}");
        tokio::time::sleep(FAR).await;
        let stats = pipeline.stats();
        assert_eq!((stats.answered, stats.failed), (1, 0));
        assert_balanced(&stats);
    }
    Ok(())
}
