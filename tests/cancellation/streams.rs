//! Cancelled at the worker: its call or its stream is dropped, wherever that is, and the slot is free.

use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{
    Gate, Stopwatch, TestResult, assert_balanced, both_deliveries, count, gated, poll_once, prompts, settle, slots,
    soon, streaming, until,
};
use crate::{By, assert_told};

/// Two tokens, then nothing more.
fn flows_then_hangs() -> Script {
    Script::new().streaming().text("a").text("b").hang()
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

/// A pipeline whose stage hands on the stream that `poll` makes.
fn polled(
    stage: StreamStage,
    poll: impl FnMut(&mut TaskContext<'_>) -> Poll<Option<Result<TokenEvent, WorkerError>>> + Send + 'static,
) -> Result<Pipeline<u64, Tokens>, BuildError> {
    let stream = Mutex::new(Some(TokenStream::from_stream(futures_util::stream::poll_fn(poll))));
    Pipeline::builder("polled")
        .then("makes", move |_cx, _: u64| {
            let stream = stream.lock().expect("not poisoned").take();
            async move { stream.ok_or_else(|| BoxError::from("there is but one")) }
        })
        .stage(stage)
        .build()
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_its_direct_stream_is_polled_it_is_dropped_without_a_further_poll() -> TestResult {
    let caller: Arc<Mutex<Option<Answer<Tokens>>>> = Arc::default();
    let (leaves, held) = (caller.clone(), Arc::new(()));
    let holds = held.clone();
    let pipeline = polled(StreamStage::default().direct(), move |_cx| {
        let _held = &holds;
        drop(leaves.lock().expect("not poisoned").take());
        Poll::Ready(Some(Ok(TokenEvent::text_delta("late"))))
    })?;
    let mut answer = pipeline.submit(0).await?;
    let mut tokens = answer.output().await?;
    *caller.lock().expect("not poisoned") = Some(answer);
    let error = tokens.next().await.expect("an error").expect_err("it was cancelled");
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(Arc::strong_count(&held), 1, "the stream is still there");
    assert_balanced(&pipeline.stats());
    Ok(())
}

/// The tokens of a request whose worker hangs behind two of them, and the answer that they were taken from.
struct Taken {
    slots: Slots,
    worker: MockWorker,
    pipeline: Pipeline<PromptRequest, Tokens>,
    answer: Answer<Tokens>,
    tokens: Tokens,
}

impl Taken {
    async fn from(stage: StreamStage) -> Result<Self, Box<dyn std::error::Error>> {
        let slots = slots(1);
        let worker = MockWorker::new(flows_then_hangs()).slots(slots.clone());
        let pipeline = streaming(worker.clone(), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        let tokens = answer.output().await?;
        Ok(Self { slots, worker, pipeline, answer, tokens })
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_taken_from_their_answer_end_with_it() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let Taken { slots, pipeline, answer, mut tokens, .. } = Taken::from(stage).await?;
        let reader = tokio::spawn(async move {
            let mut last = None;
            while let Some(event) = tokens.next().await {
                last = Some(event);
            }
            last
        });
        settle().await;
        let clock = Stopwatch::start();
        drop(answer);
        until(&format!("{delivery}: the slot is free"), || slots.free() == 1).await;
        let error = reader.await?.expect("an error").expect_err("it was cancelled");
        assert!(error.is_cancelled(), "{delivery}: {error}");
        clock.assert_still();
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_dropped_take_their_request_with_them() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let Taken { slots, worker, pipeline, answer: _answer, mut tokens } = Taken::from(stage).await?;
        tokens.next().await.expect("a token")?;
        let clock = Stopwatch::start();
        drop(tokens);
        until(&format!("{delivery}: the slot is free"), || slots.free() == 1).await;
        clock.assert_still();
        assert_eq!((worker.stats().live, pipeline.stats().cancelled), (0, 1));
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_tokens_that_nobody_reads() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let Taken { slots, worker, pipeline, answer, mut tokens } = Taken::from(stage).await?;
        // Up to the point where the worker hangs; whoever waited has gone.
        while poll_once(&mut Box::pin(tokens.next())).await.is_some() {
            settle().await;
        }
        drop(answer);
        let clock = Stopwatch::start();
        soon(pipeline.drain(Duration::from_secs(1))).await;
        clock.assert_still();
        assert_eq!((slots.free(), worker.stats().live), (1, 0), "{delivery}");
        assert!(tokens.next().await.expect("an error").is_err(), "{delivery}");
    }
    Ok(())
}
