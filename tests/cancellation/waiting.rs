//! Cancelled before it runs: at the door, in a queue, in a popped batch and in the line for a slot.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{
    Gate, Stopwatch, TestResult, ask, assert_balanced, one_gated, placements, poll_once, settle, slots, streaming,
};
use crate::{By, assert_told};

#[tokio::test(start_paused = true)]
async fn at_the_door_a_dropped_submission_is_withdrawn_and_never_run() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let mut running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = pipeline.submit(ask(1)).await?;
    let mut withdrawn = Box::pin(pipeline.submit(ask(2)));
    let mut behind = Box::pin(pipeline.submit(ask(3)));
    assert!(poll_once(&mut withdrawn).await.is_none());
    assert!(poll_once(&mut behind).await.is_none());

    let clock = Stopwatch::start();
    drop(withdrawn);
    let stats = pipeline.stats();
    assert_eq!((stats.withdrawn, stats.cancelled, stats.accepted), (1, 0, 2));

    gate.open();
    let mut behind = behind.await?;
    for (answer, number) in [(&mut running, 0), (&mut queued, 1), (&mut behind, 3)] {
        assert_eq!(answer.output().await?.number, number);
    }
    clock.assert_still();
    assert_eq!(gate.entered(), 3, "the withdrawn request was run");
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn at_the_door_a_submission_that_was_let_in_but_not_returned_counts_as_cancelled() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let running = pipeline.submit(ask(0)).await?;
    settle().await;
    let queued = pipeline.submit(ask(1)).await?;
    let mut waiting = Box::pin(pipeline.submit(ask(2)));
    assert!(poll_once(&mut waiting).await.is_none());

    drop(queued);
    assert_eq!(pipeline.stats().accepted, 3, "room in the queue lets the next one in at once");
    let clock = Stopwatch::start();
    drop(waiting);
    let stats = pipeline.stats();
    assert_eq!((stats.stages[0].depth, stats.withdrawn, stats.cancelled), (0, 0, 2));
    drop(running);
    settle().await;
    clock.assert_still();
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn queued_the_depth_falls_at_once() -> TestResult {
    for by in By::BOTH {
        let gate = Gate::shut();
        let pipeline = one_gated(StageConfig::new().concurrency(1), &gate)?;
        let mut running = pipeline.submit(ask(0)).await?;
        settle().await;
        let mut queued = Vec::new();
        for number in 1..=5 {
            queued.push(pipeline.submit(ask(number)).await?);
        }
        assert_eq!(pipeline.stats().stages[0].depth, 5);

        // From the middle, the front and the end; without a turn for any other task.
        let clock = Stopwatch::start();
        for (index, depth) in [(2, 4), (0, 3), (2, 2)] {
            assert_told(by.apply(queued.remove(index)));
            assert_eq!(pipeline.stats().stages[0].depth, depth, "{by:?}");
        }
        assert_eq!(pipeline.stats().cancelled, 3);

        gate.open();
        assert_eq!(running.output().await?.number, 0);
        for (answer, number) in queued.iter_mut().zip([2, 4]) {
            assert_eq!(answer.output().await?.number, number);
        }
        clock.assert_still();
        assert_eq!(gate.entered(), 3, "a cancelled request was run");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn queued_a_cancelled_request_makes_room_at_a_full_door() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let _running = pipeline.submit(ask(0)).await?;
    settle().await;
    let queued = pipeline.submit(ask(1)).await?;
    let mut waiting = Box::pin(pipeline.submit(ask(2)));
    assert!(poll_once(&mut waiting).await.is_none());

    let clock = Stopwatch::start();
    drop(queued);
    assert!(poll_once(&mut waiting).await.expect("there is room")?.output().now_or_never().is_none());
    clock.assert_still();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_a_popped_batch_a_cancelled_request_is_not_run() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            // What the first run finds here it cancels before its first await: the others are in its batch then.
            let victims: Arc<Mutex<Vec<Answer<u64>>>> = Arc::default();
            let told: Arc<Mutex<Vec<Answer<u64>>>> = Arc::default();
            let ran: Arc<Mutex<Vec<u64>>> = Arc::default();
            let (all, runs, kept) = (victims.clone(), ran.clone(), told.clone());
            let pipeline = Pipeline::builder("batch")
                .then("cancels", move |_cx, number: u64| {
                    runs.lock().expect("not poisoned").push(number);
                    let victims = std::mem::take(&mut *all.lock().expect("not poisoned"));
                    kept.lock().expect("not poisoned").extend(victims.into_iter().filter_map(|v| by.apply(v)));
                    async move { Ok::<_, BoxError>(number) }
                })
                .then_with("behind", config, |_cx, number: u64| async move { Ok::<_, BoxError>(number) })
                .build()?;
            let clock = Stopwatch::start();
            // No turn for the stage in between, so that it finds all of them at once.
            let mut first = pipeline.try_submit(0)?;
            for number in 1..=2 {
                victims.lock().expect("not poisoned").push(pipeline.try_submit(number)?);
            }
            let mut last = pipeline.try_submit(3)?;
            assert_eq!((first.output().await?, last.output().await?), (0, 3));
            clock.assert_still();
            assert_eq!(*ran.lock().expect("not poisoned"), [0, 3], "{by:?}, {place}");
            let told = std::mem::take(&mut *told.lock().expect("not poisoned"));
            told.into_iter().for_each(|answer| assert_told(Some(answer)));
            let stats = pipeline.stats();
            assert_eq!((stats.answered, stats.cancelled), (2, 2));
            assert_balanced(&stats);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_a_cancelled_request_leaves_the_line() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::answering("free")).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let taken = slots.acquire().await;
    let waiting = pipeline.submit("?".into()).await?;
    let mut behind = pipeline.submit("?".into()).await?;
    settle().await;
    assert_eq!((worker.stats().calls, pipeline.stats().stages[0].depth), (0, 2));

    let clock = Stopwatch::start();
    drop(waiting);
    assert_eq!(pipeline.stats().stages[0].depth, 1);
    drop(taken);
    assert_eq!(behind.text().await?, "free");
    settle().await;
    clock.assert_still();
    assert_eq!((worker.stats().calls, slots.free()), (1, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slot_granted_to_an_empty_queue_is_given_back() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::answering("free")).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let taken = slots.acquire().await;
    let waiting = pipeline.submit("?".into()).await?;
    settle().await;

    let clock = Stopwatch::start();
    drop(waiting);
    drop(taken);
    settle().await;
    clock.assert_still();
    assert_eq!((worker.stats().calls, slots.free()), (0, 1));
    Ok(())
}
