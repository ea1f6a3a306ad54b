//! The reader's time limit: who leaves ready tokens untouched is cut, who reads slowly or waits for the worker is not.

use std::time::Duration;

use futures_util::FutureExt;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::time::Instant;

use crate::common::{
    Stopwatch, TestResult, assert_balanced, both_deliveries, count, settle, slots, soon, streaming, until,
};
use crate::{FAR, NEAR, ended};

const STALL: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_its_full_buffer_untouched_is_cut() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::tokens(100)).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().buffered(count(4)).reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    let clock = Stopwatch::start();
    ended(&answer).await;
    clock.assert_at(STALL);
    until("the slot is free", || slots.free() == 1).await;
    assert_eq!((worker.stats().live, worker.stats().cancelled), (0, 1));
    // What was in the buffer is still handed out, and then the reason.
    for _ in 0..4 {
        answer.next().await.expect("a token")?;
    }
    let error = soon(answer.next()).await.expect("an error").expect_err("the rest was cut");
    assert_eq!(error.kind(), ErrorKind::ReaderStalled);
    assert_eq!(pipeline.stats().cancelled, 1);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_stalled_reader_counts_from_its_last_read() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(1);
        let worker = MockWorker::new(Script::tokens(100)).slots(slots.clone());
        let pipeline = streaming(worker.clone(), stage.reader_stall(STALL))?;
        let mut answer = pipeline.submit("?".into()).await?;
        settle().await;
        tokio::time::sleep(STALL - NEAR).await;
        assert_eq!(answer.next().await.expect("a token")?.text(), "t ");
        let clock = Stopwatch::start();
        ended(&answer).await;
        clock.assert_at(STALL);
        until("the slot is free", || slots.free() == 1).await;
        let error = soon(answer.text()).await.expect_err("the rest was cut");
        assert_eq!(error.kind(), ErrorKind::ReaderStalled, "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_direct_stream_that_is_never_polled_is_cut() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::tokens(100)).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().direct().reader_stall(STALL))?;
    let answer = pipeline.submit("?".into()).await?;
    let clock = Stopwatch::start();
    ended(&answer).await;
    clock.assert_at(STALL);
    until("the slot is free", || slots.free() == 1).await;
    assert_eq!((worker.stats().live, pipeline.stats().cancelled), (0, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_direct_stream_is_cut_when_nobody_takes_what_has_become_ready() -> TestResult {
    let slots = slots(1);
    let script = Script::new().streaming().delay(FAR).text("late").hang();
    let worker = MockWorker::new(script).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().direct().reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    settle().await;
    let clock = Stopwatch::start();
    // The reader asks once and leaves; the worker is not ready for long after.
    assert!(answer.next().now_or_never().is_none());
    ended(&answer).await;
    clock.assert_at(FAR + STALL);
    until("the slot is free", || slots.free() == 1).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_direct_reader_that_took_several_events_at_once_is_cut_within_an_eighth_of_the_limit() -> TestResult {
    let worker = MockWorker::new(Script::tokens(100));
    let pipeline = streaming(worker, StreamStage::default().direct().reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    settle().await;
    tokio::time::sleep(STALL / 2).await;
    for _ in 0..5 {
        answer.next().await.expect("a token")?;
    }
    let clock = Instant::now();
    ended(&answer).await;
    let late = clock.elapsed().checked_sub(STALL).expect("it is not cut early");
    assert!(late <= STALL / 8 + Duration::from_millis(2), "cut {late:?} too late");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_reads_is_not_cut() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::tokens(40));
        let pipeline = streaming(worker.clone(), stage.reader_stall(STALL))?;
        let mut answer = pipeline.submit("?".into()).await?;
        let mut read = 0;
        while let Some(event) = answer.next().await {
            event.map_err(|error| format!("{delivery}, after {read} events: {error}"))?;
            read += 1;
            tokio::time::sleep(STALL - NEAR).await;
        }
        assert_eq!((read, worker.stats().finished), (41, 1), "{delivery}");
        assert_eq!(pipeline.stats().answered, 1);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_for_a_slow_worker_is_not_cut() -> TestResult {
    let slow = (0..5).fold(Script::new().streaming(), |script, _| script.delay(FAR).text("t")).finish();
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(slow.clone());
        let pipeline = streaming(worker, stage.reader_stall(STALL))?;
        let mut answer = pipeline.submit("?".into()).await?;
        let text = answer.text().await.map_err(|error| format!("{delivery}: {error}"))?;
        assert_eq!(text, "ttttt");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_a_buffer_with_room_untouched_is_not_cut() -> TestResult {
    let worker = MockWorker::new(Script::new().streaming().text("a").text("b").text("c").delay(FAR).finish());
    let pipeline = streaming(worker, StreamStage::default().buffered(count(4)).reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    tokio::time::sleep(2 * FAR).await;
    assert_eq!(pipeline.stats().answered, 1);
    assert_eq!(answer.text().await?, "abc");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_waits_for_its_reader_as_long_as_it_likes() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::answering("whole")).slots(slots.clone());
    let pipeline = streaming(worker, StreamStage::default().buffered(count(2)).reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    settle().await;
    assert_eq!((slots.free(), pipeline.stats().answered), (1, 1));
    tokio::time::sleep(FAR).await;
    assert_eq!(answer.text().await?, "whole");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_cut_for_what_it_has_taken_ahead() -> TestResult {
    // An eighth of the buffer is taken at once; it fills up again behind that, long before all of it is read.
    let worker = MockWorker::new(Script::tokens(200));
    let pipeline = streaming(worker.clone(), StreamStage::default().buffered(count(64)).reader_stall(STALL))?;
    let mut answer = pipeline.submit("?".into()).await?;
    let mut read = 0;
    while let Some(event) = answer.next().await {
        event.map_err(|error| format!("after {read} events: {error}"))?;
        read += 1;
        tokio::time::sleep(STALL / 2).await;
    }
    assert_eq!((read, worker.stats().finished, pipeline.stats().answered), (201, 1, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}
