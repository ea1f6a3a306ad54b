//! Cancellation takes a request out wherever it is, and everything that it held is free without any timer having to
//! fire: on the paused clock of these tests, the time does not change between the cancellation and the last assertion.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, both_deliveries, count, gated, one_gated, poll_once,
    prompts, settle, slots, streaming, until,
};
use futures_util::FutureExt;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

/// The two ways in which a caller cancels.
#[derive(Debug, Clone, Copy)]
enum By {
    Drop,
    Cancel,
}

impl By {
    const BOTH: [Self; 2] = [Self::Drop, Self::Cancel];

    /// Cancels; returns the answer where it is still there to be read.
    fn apply<Out: Send + 'static>(self, mut answer: Answer<Out>) -> Option<Answer<Out>> {
        match self {
            Self::Drop => None,
            Self::Cancel => {
                answer.cancel();
                Some(answer)
            }
        }
    }
}

/// Whoever still can is told that the request was cancelled.
fn assert_told<Out: Send + 'static>(answer: Option<Answer<Out>>) {
    if let Some(mut answer) = answer {
        let output = answer.output().now_or_never().expect("it has ended");
        assert!(output.err().expect("it was cancelled").is_cancelled());
    }
}

/// Each way of running a stage.
fn placements() -> [(&'static str, StageConfig); 2] {
    [("in task", StageConfig::new().queued()), ("spawned", StageConfig::new().spawned())]
}

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
async fn running_the_future_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            let gate = Gate::shut();
            let pipeline = one_gated(config.concurrency(1), &gate)?;
            let answer = pipeline.submit(ask(0)).await?;
            let mut next = pipeline.submit(ask(1)).await?;
            until("the first one runs", || gate.inside() == 1).await;
            settle().await;
            assert_eq!(gate.entered(), 1, "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answer);
            until("the run is dropped", || gate.dropped() == 1).await;
            until("the next one runs", || gate.entered() == 2).await;
            assert_told(told);
            gate.open();
            assert_eq!(next.output().await?.number, 1);
            clock.assert_still();
            let stats = pipeline.stats();
            assert_eq!((stats.answered, stats.cancelled), (1, 1), "{by:?}, {place}");
            assert_balanced(&stats);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn running_inline_the_future_is_dropped_and_the_permit_of_the_stage_before_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            let gate = Gate::shut();
            let first =
                Pipeline::builder("fused")
                    .then_with("first", config.concurrency(1), |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
            let pipeline = gated(first, "inline", StageConfig::new().inline(), &gate).build()?;
            let answer = pipeline.submit(ask(0)).await?;
            let mut next = pipeline.submit(ask(1)).await?;
            until("the first one runs", || gate.inside() == 1).await;
            settle().await;
            assert_eq!(gate.entered(), 1, "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answer);
            until("the run is dropped", || gate.dropped() == 1).await;
            until("the next one runs", || gate.entered() == 2).await;
            assert_told(told);
            gate.open();
            assert_eq!(next.output().await?.number, 1);
            clock.assert_still();
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn running_whoever_holds_the_requests_token_is_told() -> TestResult {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let pipeline = Pipeline::builder("token")
        .then("hands out its token", move |cx: Context, _: u64| {
            let sender = sender.lock().expect("not poisoned").take();
            drop(sender.map(|sender| sender.send(cx.cancellation())));
            async move {
                std::future::pending::<()>().await;
                Ok::<_, BoxError>(())
            }
        })
        .build()?;
    let answer = pipeline.submit(0).await?;
    let token = receiver.await?;
    let context = answer.context();
    assert!(!token.is_cancelled() && !context.is_cancelled());
    drop(answer);
    assert!(token.is_cancelled() && context.is_cancelled());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_blocked_output_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            // The second stage takes one and queues one; the third output waits inside the first stage.
            let (before, behind) = (Gate::shut(), Gate::shut());
            before.let_through(3);
            let first = gated(Pipeline::builder("blocked"), "before", config.concurrency(1), &before);
            let second = StageConfig::new().depth(1).concurrency(1);
            let pipeline = gated(first, "behind", second, &behind).build()?;
            let mut answers = Vec::new();
            for number in 0..4 {
                answers.push(pipeline.submit(ask(number)).await?);
                settle().await;
            }
            assert_eq!((before.entered(), behind.entered()), (3, 1), "{place}");
            let depths: Vec<_> = pipeline.stats().stages.iter().map(|s| s.depth).collect();
            assert_eq!(depths, [1, 1], "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answers.remove(2));
            until("the first stage takes the next one", || before.entered() == 4).await;
            assert_told(told);
            assert_eq!(pipeline.stats().stages[1].depth, 1, "a blocked output is in no queue");
            before.open();
            behind.open();
            for (answer, number) in answers.iter_mut().zip([0, 1, 3]) {
                assert_eq!(answer.output().await?.number, number);
            }
            clock.assert_still();
            assert_eq!(behind.entered(), 3, "the cancelled output went on");
            assert_eq!(pipeline.stats().cancelled, 1);
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_output_held_back_for_its_order_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            // Request 0 waits at the gate, the others finish at once and are held back behind it.
            let gate = Gate::shut();
            let waits = gate.clone();
            let pipeline = Pipeline::builder("ordered")
                .then_with("work", config.ordered().concurrency(3), move |_cx, number: u64| {
                    let gate = waits.clone();
                    async move {
                        if number == 0 || number > 2 {
                            gate.pass().await;
                        }
                        Ok::<_, BoxError>(number)
                    }
                })
                .build()?;
            let mut answers = Vec::new();
            for number in 0..4 {
                answers.push(pipeline.submit(number).await?);
            }
            settle().await;
            assert_eq!((gate.entered(), pipeline.stats().stages[0].depth), (1, 1), "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answers.remove(1));
            until("the stage takes the next one", || gate.entered() == 2).await;
            assert_told(told);
            // The later one waits for its turn even so.
            gate.let_through(1);
            assert_eq!(answers.remove(0).output().await?, 0);
            assert_eq!(answers.remove(0).output().await?, 2);
            gate.let_through(1);
            assert_eq!(answers.remove(0).output().await?, 3);
            clock.assert_still();
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_an_ordered_stage_a_cancelled_run_holds_nobody_back() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let waits = gate.clone();
        let pipeline = Pipeline::builder("ordered")
            .then_with("work", config.ordered(), move |_cx, number: u64| {
                let gate = waits.clone();
                async move {
                    if number == 0 {
                        gate.pass().await;
                    }
                    Ok::<_, BoxError>(number)
                }
            })
            .build()?;
        let first = pipeline.submit(0).await?;
        let mut second = pipeline.submit(1).await?;
        settle().await;
        assert!(second.output().now_or_never().is_none(), "{place}");
        let clock = Stopwatch::start();
        drop(first);
        assert_eq!(second.output().await?, 1);
        clock.assert_still();
        assert_balanced(&pipeline.stats());
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

#[tokio::test(start_paused = true)]
async fn inside_infer_the_call_is_dropped_and_the_slot_is_free() -> TestResult {
    for by in By::BOTH {
        let slots = slots(1);
        let worker = MockWorker::new(Script::new().hang()).slots(slots.clone());
        let pipeline = streaming(worker.clone(), StreamStage::default())?;
        let answer = pipeline.submit("?".into()).await?;
        until("the worker is called", || worker.stats().live == 1).await;
        assert_eq!(slots.free(), 0);

        let clock = Stopwatch::start();
        let told = by.apply(answer);
        until("the call is dropped", || worker.stats().live == 0).await;
        until("the slot is free", || slots.free() == 1).await;
        clock.assert_still();
        assert_eq!(worker.stats().cancelled, 1, "{by:?}");
        assert_told(told);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

/// Two tokens, then nothing more.
fn flows_then_hangs() -> Script {
    Script::new().streaming().text("a").text("b").hang()
}

#[tokio::test(start_paused = true)]
async fn mid_stream_the_stream_is_dropped_and_the_slot_is_free() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for by in By::BOTH {
            for read in 0..=2 {
                let slots = slots(1);
                let worker = MockWorker::new(flows_then_hangs()).slots(slots.clone());
                let pipeline = streaming(worker.clone(), stage.clone())?;
                let mut answer = pipeline.submit("?".into()).await?;
                for _ in 0..read {
                    answer.next().await.expect("an event")?;
                }
                until("the worker is called", || worker.stats().live == 1).await;
                settle().await;

                let clock = Stopwatch::start();
                let told = by.apply(answer);
                until("the stream is dropped", || worker.stats().live == 0).await;
                until("the slot is free", || slots.free() == 1).await;
                clock.assert_still();
                assert_eq!(worker.stats().cancelled, 1, "{delivery}, {by:?}, {read} events read");
                if let Some(mut answer) = told {
                    let error = answer.next().await.expect("one error").expect_err("it was cancelled");
                    assert!(error.is_cancelled(), "{error}");
                    assert!(answer.next().await.is_none());
                }
                let stats = pipeline.stats();
                assert_eq!((stats.cancelled, stats.answered), (1, 0));
                assert_balanced(&stats);
            }
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn mid_stream_with_a_full_buffer_the_stream_is_dropped() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::tokens(100)).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().buffered(count(4)))?;
    let answer = pipeline.submit("?".into()).await?;
    settle().await;
    assert_eq!((worker.stats().live, slots.free()), (1, 0));
    let clock = Stopwatch::start();
    drop(answer);
    until("the slot is free", || slots.free() == 1).await;
    clock.assert_still();
    assert_eq!(worker.stats().cancelled, 1);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_a_stage_of_its_own_is_dropped_wherever_it_is() -> TestResult {
    // The stream stands in the queue in front of the last stage, whose own limit is used up.
    for (delivery, stage) in both_deliveries() {
        let slots = slots(2);
        let gate = Gate::shut();
        let worker = MockWorker::new(flows_then_hangs()).slots(slots.clone());
        let infer = prompts("queued").stage(InferenceStage::new(worker.clone()));
        let pipeline = gated(infer, "gate", StageConfig::new().concurrency(1), &gate).stage(stage).build()?;
        let first = pipeline.submit("?".into()).await?;
        let second = pipeline.submit("?".into()).await?;
        until("one waits at the gate, one in its queue", || {
            gate.entered() == 1 && pipeline.stats().stages[1].depth == 1
        })
        .await;
        let clock = Stopwatch::start();
        drop(second);
        assert_eq!((pipeline.stats().stages[1].depth, slots.free()), (0, 1), "{delivery}");
        drop(first);
        until("the slot is free", || slots.free() == 2).await;
        clock.assert_still();
        assert_eq!((worker.stats().live, gate.dropped()), (0, 1));
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_cancelled_while_its_output_is_handed_over_keeps_nothing() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        // The caller leaves from inside the last stage, behind every look at whether it is still there.
        let caller: Arc<Mutex<Option<Answer<Tokens>>>> = Arc::default();
        let leaves = caller.clone();
        let slots = slots(1);
        let worker = MockWorker::new(flows_then_hangs()).slots(slots.clone());
        let pipeline = prompts("leaves")
            .stage(InferenceStage::new(worker.clone()))
            .stage(stage)
            .then_with("caller leaves", StageConfig::new().inline(), move |_cx, tokens: Tokens| {
                drop(leaves.lock().expect("not poisoned").take());
                async move { Ok::<_, BoxError>(tokens) }
            })
            .build()?;
        let clock = Stopwatch::start();
        let answer = pipeline.try_submit("?".into())?;
        *caller.lock().expect("not poisoned") = Some(answer);
        settle().await;
        clock.assert_still();
        assert!(caller.lock().expect("not poisoned").is_none(), "the caller left");
        assert_eq!((worker.stats().live, slots.free()), (0, 1), "{delivery}");
        assert_eq!(pipeline.stats().cancelled, 1);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cancelling_what_has_ended_does_nothing() -> TestResult {
    let pipeline =
        Pipeline::builder("ended").then("same", |_cx, n: u64| async move { Ok::<_, BoxError>(n) }).build()?;
    let mut answer = pipeline.submit(7).await?;
    until("it has ended", || pipeline.stats().answered == 1).await;
    answer.cancel();
    assert_eq!(answer.output().await?, 7, "the output is still there");
    let stats = pipeline.stats();
    assert_eq!((stats.answered, stats.cancelled), (1, 0));

    let worker = MockWorker::new(Script::answering("a b"));
    let pipeline = streaming(worker, StreamStage::default())?;
    let mut answer = pipeline.submit("?".into()).await?;
    until("the stream has ended", || pipeline.stats().answered == 1).await;
    answer.cancel();
    assert_eq!(answer.text().await?, "a b");
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn cancelling_twice_counts_once() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let mut answer = pipeline.submit(ask(0)).await?;
    settle().await;
    answer.cancel();
    answer.cancel();
    drop(answer);
    settle().await;
    assert_eq!((pipeline.stats().cancelled, gate.dropped()), (1, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_output_that_nobody_took_is_dropped_with_its_answer() -> TestResult {
    // Without a stream stage the output is the token stream, which keeps the slot.
    let slots = slots(1);
    let worker = MockWorker::new(flows_then_hangs()).slots(slots.clone());
    let pipeline = prompts("raw").stage(InferenceStage::new(worker.clone())).build()?;
    let answer = pipeline.submit(PromptRequest::new("?")).await?;
    until("it is answered", || pipeline.stats().answered == 1).await;
    assert_eq!((worker.stats().live, slots.free()), (1, 0));
    drop(answer);
    assert_eq!((worker.stats().live, slots.free()), (0, 1));
    assert_balanced(&pipeline.stats());
    Ok(())
}

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

#[tokio::test(start_paused = true)]
async fn cancellation_leaves_no_way_in_for_a_second_ending() -> TestResult {
    // Cancelled and expired and drained at once: it is counted once.
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    let second = Duration::from_secs(1);
    let answer = pipeline.submit(ask(0).within(second)).await?;
    settle().await;
    drop(answer);
    pipeline.drain(second).await;
    let stats = pipeline.stats();
    assert_eq!((stats.cancelled, stats.failed, stats.shed), (1, 0, 0));
    assert_balanced(&stats);
    let refused = pipeline.try_submit(ask(1)).expect_err("it drains");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Draining));
    Ok(())
}

/// What callers do who come and go on several threads at once.
async fn come_and_go(pipeline: &Pipeline<Ask, Ask>, turn: u64) {
    let mut waiting = Box::pin(pipeline.submit(ask(turn)));
    // Some leave at once, some after a few turns, at whatever place the request is by then.
    for _ in 0..turn % 5 {
        if let Some(admitted) = poll_once(&mut waiting).await {
            if let (Ok(mut answer), 0) = (admitted, turn % 2) {
                drop(answer.output().await);
            }
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_every_request_is_counted_once() -> TestResult {
    for (_, config) in placements() {
        let pipeline = Pipeline::builder("threads")
            .then_with("work", config.depth(1).concurrency(1), |_cx, ask: Ask| async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(ask)
            })
            .build()?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    for turn in 0..2_000 {
                        come_and_go(&pipeline, turn).await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await?;
        }
        common::until_on_threads("all have ended", || pipeline.stats().in_flight == 0);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_every_slot_comes_back() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(2);
        let worker = MockWorker::new(Script::new().yields().streaming().text("a").yields().text("b").finish());
        let pipeline = streaming(worker.clone().slots(slots.clone()), stage)?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    for turn in 0..1_000 {
                        let Ok(mut answer) = pipeline.submit("?".into()).await else { return };
                        for _ in 0..turn % 4 {
                            tokio::task::yield_now().await;
                        }
                        for _ in 0..turn % 3 {
                            drop(answer.next().await);
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await?;
        }
        common::until_on_threads("all have ended", || pipeline.stats().in_flight == 0);
        common::until_on_threads("all slots are free", || slots.free() == 2);
        common::until_on_threads("all streams are gone", || worker.stats().live == 0);
        assert!(worker.stats().most_live <= 2, "{delivery}: {:?}", worker.stats());
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
