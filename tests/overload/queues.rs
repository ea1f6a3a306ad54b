//! Longest waits, controlled delay and aging, each in a pipeline.

use prompt_orchestrator::error::ShedReason;
use prompt_orchestrator::prelude::*;

use crate::common::{Stopwatch, TestResult, assert_balanced, settle};
use crate::{MS, SECOND, Work, hold, outcomes, serving, slots};

#[tokio::test(start_paused = true)]
async fn any_queue_can_have_a_longest_wait() -> TestResult {
    let config = StageConfig::new().concurrency(1).max_wait(300 * MS);
    let pipeline = Pipeline::builder("short").then_with("work", config, |_cx, work: Work| hold(work.0)).build()?;
    let mut running = pipeline.submit(Work(SECOND)).await?;
    settle().await;
    let mut waits = pipeline.submit(Work(SECOND)).await?;
    let clock = Stopwatch::start();
    let error = waits.output().await.expect_err("it waits for a second");
    clock.assert_at(300 * MS);
    assert_eq!(error.kind(), ErrorKind::Shed(ShedReason::Waited));
    assert!(error.is_transient() && !error.is_timeout());
    assert!(running.output().await.is_ok());
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn codel_drops_what_stands_and_lets_bursts_pass() -> TestResult {
    let codel = ShedPolicy::CoDel(CoDel::new(100 * MS, 300 * MS));
    let pipeline = serving(&slots(1), StageConfig::new().shed(codel));
    let burst: Vec<_> = (0..4).filter_map(|_| pipeline.try_submit(Work(100 * MS)).ok()).collect();
    assert!(outcomes(burst).await.iter().all(Result::is_ok), "all of it waits for no longer than the interval");
    let flood: Vec<_> = (0..40).filter_map(|_| pipeline.try_submit(Work(100 * MS)).ok()).collect();
    let ends = outcomes(flood).await;
    let dropped = ends.iter().filter(|end| end.as_ref().is_err_and(|e| e.kind() == ErrorKind::Shed(ShedReason::CoDel)));
    let answered = ends.iter().filter(|end| end.is_ok()).count();
    assert_eq!(dropped.count() + answered, 40);
    assert!((3..=7).contains(&answered), "{answered}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn under_a_permanent_flood_of_the_highest_class_the_lowest_is_served_within_its_bound() -> TestResult {
    let slots = slots(2);
    let config = StageConfig::new().shed(ShedPolicy::Backpressure).aging(SECOND).depth(1_000);
    let pipeline = serving(&slots, config);
    let flood = {
        let pipeline = pipeline.clone();
        tokio::spawn(async move {
            let high = || RequestOptions::new().priority(Priority::High);
            let mut answers = Vec::new();
            for _ in 0..1_000 {
                tokio::time::sleep(25 * MS).await;
                answers.push(pipeline.submit_with(Work(100 * MS), high()).await);
            }
            answers
        })
    };
    tokio::time::sleep(SECOND).await;
    let low = || RequestOptions::new().priority(Priority::Low);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(pipeline.submit_with(Work(100 * MS), low()).await?);
    }
    let started = tokio::time::Instant::now();
    // Twice the aging, twice the time for the twenty on two slots, and that for those that ran then.
    let turns = 2 * (20 / 2 * 100 * MS);
    let bound = 2 * SECOND + turns + 200 * MS;
    let ends = tokio::time::timeout(bound, outcomes(waiting)).await?;
    assert!(ends.iter().all(Result::is_ok));
    assert!(started.elapsed() >= 2 * SECOND + turns - 200 * MS, "first the flood, and then every second turn");
    flood.abort();
    Ok(())
}
