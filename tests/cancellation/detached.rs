//! Not cancelled: a request whose answer was detached finishes without a reader.

use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{
    Gate, Stopwatch, TestResult, ask, assert_balanced, both_deliveries, count, one_gated, settle, slots, streaming,
    until,
};

#[tokio::test(start_paused = true)]
async fn a_detached_request_finishes_without_a_reader() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    pipeline.submit(ask(0)).await?.detach();
    settle().await;
    gate.open();
    until("it is answered", || pipeline.stats().answered == 1).await;
    assert_eq!(gate.dropped(), 0);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_detached_stream_finishes_without_a_reader_however_slow_it_is() -> TestResult {
    // Far more tokens than the buffer holds, and pauses far longer than a reader may stall.
    let minute = Duration::from_secs(60);
    let script = (0..20).fold(Script::new().streaming(), |script, _| script.delay(minute).text("t")).finish();
    for (delivery, stage) in both_deliveries() {
        for read in [0, 1] {
            let slots = slots(1);
            let worker = MockWorker::new(script.clone()).slots(slots.clone());
            let pipeline = streaming(worker.clone(), stage.clone().reader_stall(Duration::from_secs(1)))?;
            let mut answer = pipeline.submit("?".into()).await?;
            for _ in 0..read {
                answer.next().await.expect("an event")?;
            }
            answer.detach();
            let ended = tokio::time::timeout(21 * minute, async {
                while slots.free() == 0 || pipeline.stats().in_flight > 0 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            ended.await.map_err(|_| format!("{delivery}, {read} events read: it is still there"))?;
            assert_eq!((worker.stats().finished, worker.stats().cancelled), (1, 0), "{delivery}");
            let stats = pipeline.stats();
            assert_eq!((stats.answered, stats.cancelled), (1, 0));
            assert_balanced(&stats);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_goes_on_when_its_reader_detaches() -> TestResult {
    let worker = MockWorker::new(Script::tokens(100));
    let pipeline = streaming(worker.clone(), StreamStage::default().buffered(count(4)))?;
    let mut answer = pipeline.submit("?".into()).await?;
    answer.next().await.expect("an event")?;
    settle().await;
    assert_eq!(worker.stats().live, 1, "the buffer is full");
    let clock = Stopwatch::start();
    answer.detach();
    until("it is answered", || pipeline.stats().answered == 1).await;
    clock.assert_still();
    assert_eq!((worker.stats().live, worker.stats().finished), (0, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_owed_a_read_when_it_detached_is_not_cut_for_it_later() -> TestResult {
    let stall = Duration::from_secs(10);
    let script =
        (0..20).fold(Script::new().streaming(), |script, _| script.text("t")).delay(6 * stall).text("late").finish();
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(script.clone());
        let pipeline = streaming(worker.clone(), stage.reader_stall(stall))?;
        let answer = pipeline.submit("?".into()).await?;
        settle().await;
        // The buffer is full, or an event is ready, and the time of the reader runs.
        tokio::time::sleep(stall / 2).await;
        answer.detach();
        tokio::time::sleep(7 * stall).await;
        assert_eq!((worker.stats().finished, pipeline.stats().answered), (1, 1), "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
