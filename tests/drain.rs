//! The end of a pipeline: a drain, the last handle that goes, and a runtime that is shut down under it.

mod common;

use std::time::Duration;

use common::{
    Gate, Stopwatch, TestResult, ask, assert_balanced, both_deliveries, gated, one_gated, placements, poll_once,
    prompts, settle, slots, soon, streaming, until, until_on_threads,
};
use futures_util::FutureExt;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::runtime::{Builder, Handle};

const LIMIT: Duration = Duration::from_secs(5);

/// Tasks of the current runtime, without the test itself.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn refused(reason: RefuseReason) -> ErrorKind {
    ErrorKind::Refused(reason)
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_is_inside_and_leaves_no_task() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(1), &gate)?;
        let mut answers = Vec::new();
        for number in 0..3 {
            answers.push(pipeline.submit(ask(number)).await?);
        }
        settle().await;
        assert!(tasks() > 0);
        let clock = Stopwatch::start();
        let mut drain = Box::pin(pipeline.drain(LIMIT));
        assert!(poll_once(&mut drain).await.is_none());
        gate.open();
        let report = soon(drain).await;
        clock.assert_still();
        assert_eq!((report.finished, report.cancelled), (3, 0), "{place}");
        assert_eq!(tasks(), 0, "{place}");
        for (answer, number) in answers.iter_mut().zip(0..) {
            assert_eq!(answer.output().await?.number, number);
        }
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_refuses_newcomers_and_those_who_wait_at_the_door() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let mut running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = pipeline.submit(ask(1)).await?;
    let mut waiting = Box::pin(pipeline.submit(ask(2)));
    assert!(poll_once(&mut waiting).await.is_none());

    let clock = Stopwatch::start();
    let mut drain = Box::pin(pipeline.drain(LIMIT));
    assert!(poll_once(&mut drain).await.is_none());
    // The one that waits comes last: it must not stand in the way of the others' refusal.
    for error in [pipeline.try_submit(ask(3)).err(), pipeline.submit(ask(4)).await.err(), soon(waiting).await.err()] {
        let error = error.expect("it takes nothing more");
        assert_eq!((error.kind(), error.is_transient()), (refused(RefuseReason::Draining), true));
    }
    gate.open();
    let report = soon(drain).await;
    clock.assert_still();
    assert_eq!((report.finished, report.cancelled), (2, 0));
    assert_eq!((running.output().await?.number, queued.output().await?.number), (0, 1));
    let stats = pipeline.stats();
    assert_eq!((stats.refused, stats.answered), (3, 2));
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn after_the_limit_a_drain_cancels_the_rest_wherever_it_is() -> TestResult {
    for (place, config) in placements() {
        // Two that finish, then one that runs, one queued behind it, one blocked, one running before, one queued there.
        let (before, behind) = (Gate::shut(), Gate::shut());
        let first = gated(Pipeline::builder("places"), "before", config.concurrency(2), &before);
        let pipeline = gated(first, "behind", StageConfig::new().depth(1).concurrency(1), &behind).build()?;
        let mut answers = Vec::new();
        for number in 0..5 {
            answers.push(pipeline.submit(ask(number)).await?);
            before.let_through(1);
            settle().await;
            if number < 2 {
                behind.let_through(1);
                settle().await;
            }
        }
        for number in 5..7 {
            answers.push(pipeline.submit(ask(number)).await?);
        }
        settle().await;
        let depths: Vec<_> = pipeline.stats().stages.iter().map(|s| s.depth).collect();
        assert_eq!((before.inside(), behind.inside(), depths), (1, 1, vec![1, 1]), "{place}");

        let clock = Stopwatch::start();
        let report = soon(pipeline.drain(LIMIT)).await;
        clock.assert_at(LIMIT);
        assert_eq!((report.finished, report.cancelled), (0, 5), "{place}");
        assert_eq!(tasks(), 0, "{place}");
        assert_eq!((before.dropped(), behind.dropped()), (1, 1), "{place}");
        for (answer, number) in answers.iter_mut().zip(0..) {
            match answer.output().await {
                Ok(output) => assert!(output.number == number && number < 2),
                Err(error) => assert!(error.is_cancelled() && number >= 2, "{error}"),
            }
        }
        let stats = pipeline.stats();
        assert_eq!((stats.answered, stats.cancelled), (2, 5));
        assert_balanced(&stats);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_apart_who_finished_in_time_and_who_did_not() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let mut answers = Vec::new();
    for number in 0..5 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    settle().await;
    let clock = Stopwatch::start();
    let mut drain = Box::pin(pipeline.drain(LIMIT));
    assert!(poll_once(&mut drain).await.is_none());
    gate.let_through(2);
    let report = soon(drain).await;
    clock.assert_at(LIMIT);
    assert_eq!((report.finished, report.cancelled), (2, 3));
    assert_eq!(tasks(), 0);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_streams_that_are_read_to_their_end() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::tokens(20));
        let pipeline = streaming(worker.clone(), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        answer.next().await.expect("a token")?;
        let clock = Stopwatch::start();
        let mut drain = Box::pin(pipeline.drain(LIMIT));
        assert!(poll_once(&mut drain).await.is_none());
        assert_eq!(answer.text().await?, "t ".repeat(19), "{delivery}");
        let report = soon(drain).await;
        clock.assert_still();
        assert_eq!((report.finished, report.cancelled), (1, 0), "{delivery}");
        assert_eq!((tasks(), worker.stats().live), (0, 0), "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_cancels_streams_that_still_flow_at_the_limit() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for read in [0, 1] {
            let slots = slots(1);
            let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
            let pipeline = streaming(worker.clone(), stage.clone())?;
            let mut answer = pipeline.submit("?".into()).await?;
            for _ in 0..read {
                answer.next().await.expect("a token")?;
            }
            settle().await;
            // The reader does nothing meanwhile: it may be who drains.
            let clock = Stopwatch::start();
            let drained = tokio::time::timeout(2 * LIMIT, pipeline.drain(LIMIT)).await;
            let report = drained.map_err(|_| format!("{delivery}, {read} read: the drain waits for the reader"))?;
            clock.assert_at(LIMIT);
            assert_eq!((report.finished, report.cancelled), (0, 1), "{delivery}");
            assert_eq!((tasks(), worker.stats().live, slots.free()), (0, 0, 1), "{delivery}, {read} read");
            assert!(answer.text().await.expect_err("it was cut").is_cancelled());
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_was_detached() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::new().streaming().text("a").delay(LIMIT / 2).text("b").finish());
        let pipeline = streaming(worker.clone(), stage)?;
        pipeline.submit("?".into()).await?.detach();
        let clock = Stopwatch::start();
        let report = soon(pipeline.drain(LIMIT)).await;
        clock.assert_at(LIMIT / 2);
        assert_eq!((report.finished, report.cancelled), (1, 0), "{delivery}");
        assert_eq!((tasks(), worker.stats().finished, pipeline.stats().answered), (0, 1, 1), "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_returns_too() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let _answer = pipeline.submit(ask(0)).await?;
    settle().await;
    let clock = Stopwatch::start();
    let (first, second) = soon(futures_util::future::join(pipeline.drain(LIMIT), pipeline.drain(2 * LIMIT))).await;
    clock.assert_at(LIMIT);
    assert_eq!((first.finished, first.cancelled), (0, 1));
    assert_eq!(second.finished + second.cancelled, 1, "it was inside when the second drain began too");
    let again = Stopwatch::start();
    let third = soon(pipeline.drain(LIMIT)).await;
    again.assert_still();
    assert_eq!((third.finished, third.cancelled, tasks()), (0, 0, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_was_never_used_drains_at_once() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let clock = Stopwatch::start();
    let report = soon(pipeline.drain(LIMIT)).await;
    clock.assert_still();
    assert_eq!((report.finished, report.cancelled), (0, 0));
    let error = pipeline.submit(ask(0)).await.expect_err("it takes nothing more");
    assert_eq!(error.kind(), refused(RefuseReason::Draining));
    until("no task is left", || tasks() == 0).await;
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_dropped_leaves_the_pipeline_closed_and_what_is_inside_goes_on() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let mut answer = pipeline.submit(ask(0)).await?;
    settle().await;
    assert!(pipeline.drain(LIMIT).now_or_never().is_none());
    let error = pipeline.try_submit(ask(1)).expect_err("it takes nothing more");
    assert_eq!(error.kind(), refused(RefuseReason::Draining));
    gate.open();
    assert_eq!(answer.output().await?.number, 0);
    until("no task is left", || tasks() == 0).await;
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_answer_keeps_its_request_alive_when_all_handles_are_gone() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(1), &gate)?;
        let mut running = pipeline.submit(ask(0)).await?;
        let mut queued = pipeline.submit(ask(1)).await?;
        settle().await;
        drop(pipeline.clone());
        drop(pipeline);
        settle().await;
        let clock = Stopwatch::start();
        gate.open();
        assert_eq!((running.output().await?.number, queued.output().await?.number), (0, 1), "{place}");
        until("no task is left", || tasks() == 0).await;
        clock.assert_still();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_the_handles_of_its_pipeline() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::tokens(20));
        let pipeline = streaming(worker, stage.clone())?;
        let mut answer = pipeline.submit("?".into()).await?;
        answer.next().await.expect("a token")?;
        drop(pipeline);
        settle().await;
        assert_eq!(answer.text().await?, "t ".repeat(19), "{delivery}");
        until("no task is left", || tasks() == 0).await;

        // Its reader is looked after as before.
        let worker = MockWorker::new(Script::tokens(20));
        let pipeline = streaming(worker.clone(), stage.reader_stall(LIMIT))?;
        let answer = pipeline.submit("?".into()).await?;
        drop(pipeline);
        let clock = Stopwatch::start();
        soon(answer.context().cancellation().cancelled()).await;
        clock.assert_at(LIMIT);
        until("no task is left", || tasks() == 0).await;
        assert_eq!(worker.stats().live, 0, "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_handles_and_answers_no_task_is_left() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let pipeline = one_gated(config, &gate)?;
        let answer = pipeline.submit(ask(0)).await?;
        settle().await;
        let clock = Stopwatch::start();
        drop(pipeline);
        drop(answer);
        until("no task is left", || tasks() == 0).await;
        clock.assert_still();
        assert_eq!(gate.dropped(), 1, "{place}");
    }
    Ok(())
}

#[test]
fn a_runtime_that_stops_tells_every_caller() -> TestResult {
    for (place, config) in placements() {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (before, behind) = (Gate::shut(), Gate::shut());
        let first = gated(Pipeline::builder("places"), "before", config.depth(1).concurrency(2), &before);
        let pipeline = gated(first, "behind", StageConfig::new().depth(1).concurrency(1), &behind).build()?;
        // One runs behind, one is queued there, one blocked, one runs before, one is queued there.
        let mut answers = Vec::new();
        for number in 0..5 {
            answers.push(runtime.block_on(pipeline.submit(ask(number)))?);
            before.let_through(usize::from(number < 3));
            match number {
                0 => until_on_threads("the first one is there", || behind.inside() == 1),
                1 => until_on_threads("the second one is there", || pipeline.stats().stages[1].depth == 1),
                2 | 3 => until_on_threads("it runs", || before.entered() == number as usize + 1),
                _ => {}
            }
        }

        let elsewhere = Builder::new_current_thread().enable_all().build()?;
        elsewhere.block_on(async {
            let mut at_the_door = Box::pin(pipeline.submit(ask(5)));
            assert!(poll_once(&mut at_the_door).await.is_none(), "{place}");
            let outputs = async {
                let mut errors = Vec::new();
                for answer in &mut answers {
                    errors.push(answer.output().await.expect_err("nobody is there to run it").kind());
                }
                (errors, at_the_door.await.expect_err("nobody is there to let it in").kind())
            };
            let mut outputs = Box::pin(outputs);
            assert!(poll_once(&mut outputs).await.is_none());
            runtime.shutdown_background();
            let (errors, door) = tokio::time::timeout(4 * LIMIT, outputs).await.map_err(|_| "they hang")?;
            assert_eq!(errors, [ErrorKind::Cancelled; 5], "{place}");
            assert_eq!(door, refused(RefuseReason::Draining), "{place}");
            let late = pipeline.try_submit(ask(6)).expect_err("it takes nothing more");
            assert_eq!(late.kind(), refused(RefuseReason::Draining));
            let report = tokio::time::timeout(4 * LIMIT, pipeline.drain(LIMIT)).await?;
            assert_eq!((report.finished, report.cancelled), (0, 0));
            assert_balanced(&pipeline.stats());
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
    }
    Ok(())
}

#[test]
fn a_runtime_that_stops_tells_who_reads_a_stream() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let slots = slots(2);
        let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
        let pipeline = streaming(worker.clone(), stage)?;
        let (mut reads, mut idle) = runtime.block_on(async {
            let mut reads = pipeline.submit("?".into()).await?;
            reads.next().await.expect("a token")?;
            Ok::<_, Error>((reads, pipeline.submit("?".into()).await?))
        })?;
        until_on_threads("both flow", || worker.stats().live == 2);

        let elsewhere = Builder::new_current_thread().enable_all().build()?;
        elsewhere.block_on(async {
            let mut text = Box::pin(reads.text());
            assert!(poll_once(&mut text).await.is_none());
            runtime.shutdown_background();
            let read = tokio::time::timeout(LIMIT, text).await;
            let read = read.map_err(|_| format!("{delivery}: the reader hangs"))?;
            assert!(read.expect_err("the stream was cut").is_cancelled(), "{delivery}");
            let read = tokio::time::timeout(LIMIT, idle.text()).await;
            let read = read.map_err(|_| format!("{delivery}: the idle reader hangs"))?;
            assert!(read.expect_err("the stream was cut").is_cancelled(), "{delivery}");
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
        until_on_threads("the slots are free", || slots.free() == 2);
        assert_eq!(worker.stats().live, 0, "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[test]
fn a_pipeline_runs_where_it_was_first_used_whoever_calls_it() -> TestResult {
    let home = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let away = Builder::new_current_thread().enable_all().build()?;
    let pipeline = prompts("away")
        .stage(InferenceStage::new(MockWorker::new(Script::answering("from home"))))
        .stage(StreamStage::default())
        .build()?;
    let first = home.block_on(async { pipeline.submit("?".into()).await?.text().await })?;
    let second = away.block_on(async { pipeline.submit("?".into()).await?.text().await })?;
    assert_eq!((first.as_str(), second.as_str()), ("from home", "from home"));
    assert_eq!(away.metrics().num_alive_tasks(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_drain_among_many_callers_comes_to_an_end() -> TestResult {
    for round in 0..40 {
        let (delivery, stage) = both_deliveries()[round % 2].clone();
        let slots = slots(4);
        let worker = MockWorker::new(Script::new().yields().streaming().text("a").yields().hang()).slots(slots.clone());
        let pipeline = streaming(worker.clone(), stage)?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    while let Ok(mut answer) = pipeline.submit("?".into()).await {
                        drop(answer.next().await);
                    }
                })
            })
            .collect();
        until_on_threads("they are at it", || worker.stats().calls > 4);
        let drained = tokio::time::timeout(4 * LIMIT, pipeline.drain(Duration::from_millis(1))).await;
        drained.map_err(|_| format!("{delivery}: the drain hangs"))?;
        for caller in callers {
            tokio::time::timeout(4 * LIMIT, caller).await.map_err(|_| format!("{delivery}: a caller hangs"))??;
        }
        assert_eq!((worker.stats().live, slots.free()), (0, 4), "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn after_the_limit_a_drain_cancels_what_is_held_back_for_its_order() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let waits = gate.clone();
        let pipeline = Pipeline::builder("ordered")
            .then_with("work", config.ordered().concurrency(2), move |_cx, number: u64| {
                let gate = waits.clone();
                async move {
                    if number == 0 {
                        gate.pass().await;
                    }
                    Ok::<_, BoxError>(number)
                }
            })
            .build()?;
        let _first = pipeline.submit(0).await?;
        let mut held = pipeline.submit(1).await?;
        settle().await;
        let report = soon(pipeline.drain(LIMIT)).await;
        assert_eq!((report.finished, report.cancelled), (0, 2), "{place}");
        assert!(held.output().await.expect_err("its turn never came").is_cancelled(), "{place}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[test]
fn a_runtime_that_stops_frees_the_slots_of_what_runs() -> TestResult {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let slots = slots(1);
    let worker = MockWorker::new(Script::new().hang()).slots(slots.clone());
    let pipeline = streaming(worker.clone(), both_deliveries()[0].1.clone())?;
    let answer = runtime.block_on(pipeline.submit("?".into()))?;
    until_on_threads("it is called", || worker.stats().live == 1);
    runtime.shutdown_background();
    // Though its caller keeps the answer.
    until_on_threads("the slot is free", || slots.free() == 1);
    assert_eq!(pipeline.stats().cancelled, 1);
    drop(answer);
    Ok(())
}
