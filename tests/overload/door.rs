//! What a door that predicts lets in, and what it says to the others.

use futures_util::FutureExt;
use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;

use crate::common::{TestResult, assert_balanced, poll_once, settle};
use crate::{MS, SECOND, Unsized, Work, hold, outcomes, serving, slots};

fn refused(reason: RefuseReason) -> ErrorKind {
    ErrorKind::Refused(reason)
}

#[tokio::test(start_paused = true)]
async fn it_is_the_default_where_a_stage_takes_slots_and_refuses_what_would_wait_too_long() -> TestResult {
    let slots = slots(2);
    let pipeline = serving(&slots, StageConfig::new());
    let mut answers = Vec::new();
    let error = loop {
        match pipeline.submit(Work(SECOND)).now_or_never().expect("it never waits at the door") {
            Ok(answer) => answers.push(answer),
            Err(error) => break error,
        }
        settle().await;
    };
    // Two run, and two more get their slot each second; how many are let in depends on what is thought of a running one.
    assert!((4..=6).contains(&answers.len()), "{}", answers.len());
    assert_eq!((error.kind(), error.stage()), (refused(RefuseReason::Overloaded), None));
    assert!(error.is_transient() && error.is_refused());
    let wait = error.predicted_wait().expect("it is known");
    assert!(wait >= SECOND && wait < 3 * SECOND, "{wait:?}");
    let retry = error.retry_after().expect("it is known");
    assert!(retry >= 400 * MS && retry <= SECOND, "until a slot is free at the least: {retry:?}");
    assert!(outcomes(answers).await.iter().all(Result::is_ok));
    assert_balanced(&pipeline.stats());
    assert!(pipeline.stats().refused_by_reason.contains(&(RefuseReason::Overloaded, 1)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pipelines_around_the_same_slots_know_of_each_other() -> TestResult {
    let slots = slots(1);
    let (one, other) = (serving(&slots, StageConfig::new()), serving(&slots, StageConfig::new()));
    let _ahead = [one.try_submit(Work(SECOND))?, one.try_submit(Work(SECOND))?];
    assert_eq!(other.try_submit(Work(SECOND)).expect_err("two seconds").kind(), refused(RefuseReason::Overloaded));
    drop(_ahead);
    settle().await;
    assert!(other.try_submit(Work(SECOND)).is_ok(), "what was cancelled is not ahead any more");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_through_earlier_stages_counts() -> TestResult {
    let slots = slots(1);
    let pipeline = Pipeline::builder("rag")
        .then("retrieve", |_cx, work: Work| async move {
            tokio::time::sleep(100 * MS).await;
            Ok::<_, BoxError>(work)
        })
        .then_with("work", StageConfig::new().slots(slots.clone()), |_cx, work: Work| hold(work.0))
        .build()?;
    let burst: Vec<_> = (0..20).filter_map(|_| pipeline.try_submit(Work(SECOND)).ok()).collect();
    assert!((2..=3).contains(&burst.len()), "all of them are still in the stage before: {}", burst.len());
    assert!(outcomes(burst).await.iter().all(Result::is_ok));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_the_request_cannot_make_is_refused_unless_the_server_is_idle() -> TestResult {
    let slots = slots(1);
    let pipeline = serving(&slots, StageConfig::new());
    let hurried = || RequestOptions::new().within(900 * MS);
    let mut first = pipeline.submit_with(Work(SECOND), hurried()).await?;
    let error = pipeline.submit_with(Work(SECOND), hurried()).await.expect_err("it takes a second");
    assert_eq!((error.kind(), error.is_transient()), (refused(RefuseReason::Deadline), false));
    assert_eq!(error.retry_after(), None);
    assert_eq!(first.output().await.expect_err("it was told").kind(), ErrorKind::Deadline);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_has_learned_nothing_does_not_lock_short_deadlines_out() -> TestResult {
    let slots = slots(2);
    let built = Pipeline::builder("cold")
        .then_with("work", StageConfig::new().slots(slots.clone()), |_cx, work: Unsized| hold(work.0))
        .build()?;
    let options = || RequestOptions::new().within(200 * MS);
    let mut answered = 0;
    for _ in 0..50 {
        let (one, two) =
            (built.submit_with(Unsized(20 * MS), options()), built.submit_with(Unsized(20 * MS), options()));
        let both: Vec<_> = [one.await, two.await].into_iter().flatten().collect();
        answered += outcomes(both).await.into_iter().filter(Result::is_ok).count();
    }
    assert!(answered > 75, "it has learned that they take 20 ms and not a second: {answered} of 100");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_waits_longer_than_was_promised_is_shed_at_that_moment() -> TestResult {
    let slots = slots(1);
    let pipeline = serving(&slots, StageConfig::new());
    // It says a tenth of what it takes.
    let stage = StageConfig::new().slots(slots.clone());
    let liar = Pipeline::builder("liar").then_with("work", stage, |_cx, work: Work| hold(10 * work.0)).build()?;
    let _long = liar.submit(Work(SECOND)).await?;
    settle().await;
    let mut waits = pipeline.submit(Work(SECOND)).await?;
    let clock = crate::common::Stopwatch::start();
    let error = waits.output().await.expect_err("the slot is not free for ten seconds");
    clock.assert_at(2 * SECOND);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(ShedReason::Waited), Some("work")));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn suspended_slots_are_refused_until_the_probe_and_at_once_after_resuming() -> TestResult {
    let slots = slots(4);
    let pipeline = serving(&slots, StageConfig::new());
    slots.suspend(5 * SECOND);
    let error = pipeline.submit(Work(MS)).await.expect_err("the server is away");
    assert_eq!((error.kind(), error.is_transient()), (refused(RefuseReason::Unavailable), true));
    let retry = error.retry_after().expect("the probe");
    assert!(retry >= 4 * SECOND && retry <= 6 * SECOND, "{retry:?}");
    slots.resume();
    assert!(pipeline.submit(Work(MS)).await.is_ok());
    slots.suspend(SECOND);
    tokio::time::advance(SECOND).await;
    assert!(pipeline.submit(Work(MS)).await.is_ok(), "somebody has to try");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_health_finds_suspends_and_resumes_the_slots() -> TestResult {
    let slots = slots(1);
    let pipeline = serving(&slots, StageConfig::new());
    slots.heed(&Health::unavailable("it starts"));
    slots.heed(&Health::unknown());
    assert_eq!(pipeline.submit(Work(MS)).await.expect_err("away").kind(), refused(RefuseReason::Unavailable));
    slots.heed(&Health::ready());
    assert!(pipeline.submit(Work(MS)).await.is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_wants_in_now_is_refused_where_others_wait() -> TestResult {
    let pipeline = Pipeline::builder("patient")
        .then_with("work", StageConfig::new().depth(1).concurrency(1), |_cx, work: Work| hold(work.0))
        .build()?;
    let _running = pipeline.submit(Work(SECOND)).await?;
    settle().await;
    let _queued = pipeline.submit(Work(SECOND)).await?;
    let now = pipeline.submit_with(Work(SECOND), RequestOptions::new().admit_now());
    assert_eq!(now.await.expect_err("it is full").kind(), refused(RefuseReason::QueueFull));
    assert!(poll_once(&mut Box::pin(pipeline.submit(Work(SECOND)))).await.is_none(), "others wait");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_at_once_does_not_look_fast() -> TestResult {
    let slots = slots(1);
    let stage = StageConfig::new().slots(slots.clone());
    let failing = Pipeline::builder("failing")
        .then_with("work", stage, |_cx, _: Work| async move { Err::<(), BoxError>("gone".into()) })
        .build()?;
    for _ in 0..100 {
        let failed = failing.submit(Work(SECOND)).await?.output().await;
        assert_eq!(failed.expect_err("it fails").kind(), ErrorKind::Stage);
    }
    let pipeline = serving(&slots, StageConfig::new());
    let burst: Vec<_> = (0..100).filter_map(|_| pipeline.try_submit(Work(SECOND)).ok()).collect();
    assert!(burst.len() <= 3, "a second each, as before: {}", burst.len());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_narrower_than_its_slots_is_what_counts() -> TestResult {
    let pipeline = serving(&slots(8), StageConfig::new().concurrency(1));
    let burst: Vec<_> = (0..50).filter_map(|_| pipeline.try_submit(Work(SECOND)).ok()).collect();
    assert!(burst.len() <= 3, "one at a time: {}", burst.len());
    assert!(outcomes(burst).await.iter().all(Result::is_ok));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_a_full_queue_a_lower_class_makes_room_for_a_higher_one() -> TestResult {
    let pipeline = serving(&slots(1), StageConfig::new().depth(2));
    let low = || RequestOptions::new().priority(Priority::Low);
    let submit = |options| pipeline.submit_with(Work(100 * MS), options);
    let _running = submit(low()).await?;
    settle().await;
    let mut queued = [submit(low()).await?, submit(low()).await?];
    assert_eq!(submit(low()).await.expect_err("full").kind(), refused(RefuseReason::QueueFull));
    let mut high = submit(RequestOptions::new()).await?;
    let evicted = queued[0].output().await.expect_err("it made room");
    assert_eq!(evicted.kind(), ErrorKind::Shed(ShedReason::Evicted));
    assert!(high.output().await.is_ok() && queued[1].output().await.is_ok());
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_submission_outside_of_a_runtime_leaves_nothing_booked() -> TestResult {
    let slots = slots(1);
    let stray = serving(&slots, StageConfig::new());
    let panicked = std::thread::spawn(move || stray.try_submit(Work(100 * SECOND)).is_ok()).join();
    assert!(panicked.is_err(), "there is no runtime");
    let pipeline = serving(&slots, StageConfig::new());
    let both = [pipeline.try_submit(Work(SECOND))?, pipeline.try_submit(Work(SECOND))?];
    assert!(outcomes(both.into()).await.iter().all(Result::is_ok));
    Ok(())
}
