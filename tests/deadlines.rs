//! Time limits hold wherever a request is, at their instant on the paused clock: deadlines at the door, in a queue, in a
//! run, in a blocked output and while tokens flow; a stage's own time limit; and the reader's, who must not stall.

mod common;

use std::time::Duration;

use common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, both_deliveries, count, gated, one_gated, settle, slots,
    soon, streaming, until,
};
use futures_util::FutureExt;
use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::time::Instant;

const NEAR: Duration = Duration::from_millis(100);
const FAR: Duration = Duration::from_secs(100);

/// Each way of running a stage behind a queue.
fn placements() -> [(&'static str, StageConfig); 2] {
    [("in task", StageConfig::new().queued()), ("spawned", StageConfig::new().spawned())]
}

/// Waits until the request has ended without an answer, without reading it.
async fn ended<Out: Send + 'static>(answer: &Answer<Out>) {
    soon(answer.context().cancellation().cancelled()).await;
}

async fn error_of<Out: Send + 'static>(answer: &mut Answer<Out>) -> Error {
    soon(answer.output()).await.err().expect("it has run out of time")
}

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
async fn a_nearer_deadline_of_a_later_stream_is_not_missed() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::new().streaming().text("a").hang());
        let pipeline = streaming(worker.clone(), stage.reader_stall(2 * FAR))?;
        let far = pipeline.submit(PromptRequest::new("?").within(FAR)).await?;
        settle().await;
        let near = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
        let clock = Stopwatch::start();
        ended(&near).await;
        clock.assert_at(NEAR);
        ended(&far).await;
        clock.assert_at(FAR);
        settle().await;
        assert_eq!(worker.stats().live, 0, "{delivery}");
    }
    Ok(())
}

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

/// A pipeline whose second stage is inline behind the first one, and waits at `gate`.
fn fused(config: StageConfig, inline: StageConfig, gate: &Gate) -> Result<Pipeline<Ask, Ask>, BuildError> {
    let first =
        Pipeline::builder("fused").then_with("outer", config, |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
    gated(first, "inner", inline.inline(), gate).build()
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

#[tokio::test(start_paused = true)]
async fn inside_infer_it_fails_and_the_call_is_dropped() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::new().hang()).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let mut answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
    let clock = Stopwatch::start();
    let error = soon(answer.text()).await.expect_err("the worker hangs");
    clock.assert_at(NEAR);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("infer")));
    until("the slot is free", || slots.free() == 1).await;
    assert_eq!(worker.stats().cancelled, 1);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn while_tokens_flow_it_fails_and_the_slot_is_free() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for reads in [true, false] {
            let slots = slots(1);
            let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
            let pipeline = streaming(worker.clone(), stage.clone())?;
            let mut answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
            let clock = Stopwatch::start();
            if reads {
                assert_eq!(answer.next().await.expect("a token")?.text(), "a");
                let error = soon(answer.next()).await.expect("an error").expect_err("the worker hangs");
                assert_eq!(error.kind(), ErrorKind::Deadline, "{delivery}");
                assert!(error.stage().is_some());
                assert!(answer.next().await.is_none(), "{delivery}: the error is the last item");
            } else {
                ended(&answer).await;
            }
            clock.assert_at(NEAR);
            until("the slot is free", || slots.free() == 1).await;
            assert_eq!((worker.stats().cancelled, worker.stats().live), (1, 0), "{delivery}");
            assert_eq!(pipeline.stats().failed, 1);
            assert_balanced(&pipeline.stats());
            assert_eq!(
                soon(answer.text()).await.expect_err("a cut answer is no text").kind(),
                ErrorKind::Deadline,
                "{delivery}"
            );
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_detached_request_keeps_its_deadline() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(1);
        let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
        let pipeline = streaming(worker, stage)?;
        let answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
        settle().await;
        let token = answer.context().cancellation();
        let clock = Stopwatch::start();
        answer.detach();
        soon(token.cancelled()).await;
        clock.assert_at(NEAR);
        until("the slot is free", || slots.free() == 1).await;
        assert_eq!(pipeline.stats().failed, 1, "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

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
