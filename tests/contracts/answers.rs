//! What the caller is told: whole texts, errors that keep what the worker said, the report, and what stages kept.

use std::sync::{Arc, Mutex, Weak};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use prompt_orchestrator::error::WorkerErrorKind;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use prompt_orchestrator::token::ToolCallDelta;
use tokio::sync::Notify;

use crate::common::{Stopwatch, TestResult, ask, assert_balanced, both_deliveries, prompts, settle, streaming};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_its_terminal_event_is_an_error() -> TestResult {
    let whole = Script::answering("a b c");
    for (delivery, stage) in both_deliveries() {
        for (events, script) in [(0, whole.clone().cut_after(0)), (2, whole.clone().cut_after(2))] {
            let pipeline = streaming(MockWorker::new(script), stage.clone())?;
            let cut = ErrorKind::Worker(WorkerErrorKind::StreamCut);

            let mut answer = pipeline.submit("?".into()).await?;
            for _ in 0..events {
                answer.next().await.expect("a token")?;
            }
            let error = answer.next().await.expect("an error").expect_err("the stream was cut");
            assert_eq!((error.kind(), error.stage()), (cut, Some("infer")), "{delivery}");
            assert!(error.is_transient());
            assert!(answer.next().await.is_none(), "{delivery}: the error is the last item");
            assert!(answer.report().finish.is_none());

            let error = pipeline.submit("?".into()).await?.text().await.expect_err("a cut answer is no text");
            assert_eq!(error.kind(), cut, "{delivery}");
            let stats = pipeline.stats();
            assert_eq!((stats.failed, stats.answered), (2, 0));
            assert_balanced(&stats);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn after_the_terminal_event_nothing_comes() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let script = Script::answering("a").text("too late").finish();
        let pipeline = streaming(MockWorker::new(script), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        assert_eq!(answer.next().await.expect("a token")?.text(), "a");
        assert!(answer.next().await.expect("the terminal event")?.is_terminal());
        assert!(answer.next().await.is_none(), "{delivery}");
        assert_eq!(pipeline.stats().answered, 1);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_text_begins_again_at_a_reset_and_leaves_out_what_is_not_answer() -> TestResult {
    let script = Script::new()
        .streaming()
        .text("void")
        .event(TokenEvent::Reset)
        .event(TokenEvent::Reasoning(prompt_orchestrator::token::TextDelta::new("hm")))
        .text("the ")
        .event(TokenEvent::ToolCall(Box::new(ToolCallDelta::new(0, "{}"))))
        .text("answer")
        .finish();
    for (delivery, stage) in both_deliveries() {
        let pipeline = streaming(MockWorker::new(script.clone()), stage)?;
        assert_eq!(pipeline.submit("?".into()).await?.text().await?, "the answer", "{delivery}");
        // Whoever reads event by event is told of all of it.
        let mut answer = pipeline.submit("?".into()).await?;
        let mut events = Vec::new();
        while let Some(event) = answer.next().await {
            events.push(event?);
        }
        assert_eq!((events.len(), &events[1]), (7, &TokenEvent::Reset), "{delivery}");
    }
    Ok(())
}

fn rate_limited() -> WorkerError {
    WorkerError::new(WorkerErrorKind::RateLimited, "slow down")
        .with_status(429)
        .with_body("{\"error\":\"slow down\"}")
        .with_retry_after(Duration::from_secs(7))
        .with_source(std::io::Error::other("the wire"))
}

#[tokio::test(start_paused = true)]
async fn a_workers_error_reaches_the_caller_as_it_was() -> TestResult {
    let in_infer = Script::new().fail(rate_limited());
    let in_stream = Script::new().streaming().text("a").fail(rate_limited());
    for (delivery, stage) in both_deliveries() {
        for script in [in_infer.clone(), in_stream.clone()] {
            let pipeline = streaming(MockWorker::new(script), stage.clone())?;
            let error = pipeline.submit("?".into()).await?.text().await.expect_err("the worker failed");
            assert_eq!(error.kind(), ErrorKind::Worker(WorkerErrorKind::RateLimited), "{delivery}");
            assert_eq!(error.stage(), Some("infer"), "{delivery}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            assert!(error.is_transient());
            let worker = error.worker_error().expect("it is kept");
            assert_eq!((worker.status(), worker.body()), (Some(429), Some("{\"error\":\"slow down\"}")));
            let source = std::error::Error::source(worker).expect("it is kept");
            assert_eq!(source.to_string(), "the wire");
            assert_eq!((pipeline.stats().failed, pipeline.stats().panics), (1, 0));
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stages_error_names_the_stage_and_is_kept_as_its_source() -> TestResult {
    for config in [StageConfig::new(), StageConfig::new().spawned(), StageConfig::new().ordered()] {
        let pipeline = Pipeline::builder("fails")
            .then_with("parse", config, |_cx, text: String| async move { text.parse::<u64>() })
            .build()?;
        let error = pipeline.submit("seven".to_owned()).await?.output().await.expect_err("not a number");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Stage, Some("parse")));
        let source = std::error::Error::source(&error).expect("it is kept");
        assert!(source.is::<std::num::ParseIntError>());
        assert_eq!(pipeline.submit("7".to_owned()).await?.output().await?, 7);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_a_stage_kept_with_the_request_is_found_through_the_answer() -> TestResult {
    #[derive(Debug, PartialEq)]
    struct Found(u64);
    let pipeline = Pipeline::builder("keeps")
        .then("keeps", |cx: Context, number: u64| async move {
            cx.insert(Found(number));
            Ok::<_, BoxError>(number)
        })
        .then("finds", |cx: Context, number: u64| async move {
            let found = cx.get::<Found>().ok_or("a stage before has kept it")?;
            Ok::<_, BoxError>(number + found.0)
        })
        .build()?;
    let mut first = pipeline.submit(1).await?;
    let mut second = pipeline.submit(2).await?;
    assert_eq!((first.output().await?, second.output().await?), (2, 4));
    assert_eq!(first.context().get::<Found>().as_deref(), Some(&Found(1)));
    assert_eq!(second.context().get::<Found>().as_deref(), Some(&Found(2)));
    assert!(first.context().get::<u8>().is_none());
    assert_ne!(first.context().id(), second.context().id());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_output_waits_for_its_reader_and_a_dropped_wait_loses_nothing() -> TestResult {
    let pipeline = Pipeline::builder("waits")
        .then("slow", |_cx, ask: crate::common::Ask| async move {
            tokio::time::sleep(10 * MS).await;
            Ok::<_, BoxError>(ask.number)
        })
        .build()?;
    let mut answer = pipeline.submit(ask(7)).await?;
    let clock = Stopwatch::start();
    // Dropped five times while it waits, as in a `select!`.
    for _ in 0..5 {
        assert!(tokio::time::timeout(MS, answer.output()).await.is_err());
    }
    assert_eq!(answer.output().await?, 7);
    clock.assert_at(10 * MS);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_for_an_event_loses_none() -> TestResult {
    let script = (0..10).fold(Script::new().streaming(), |script, _| script.delay(3 * MS).text("t")).finish();
    for (delivery, stage) in both_deliveries() {
        let pipeline = streaming(MockWorker::new(script.clone()), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        let mut text = String::new();
        loop {
            match tokio::time::timeout(MS, answer.next()).await {
                Err(_) => {}
                Ok(Some(event)) => text.push_str(event?.text()),
                Ok(None) => break,
            }
        }
        assert_eq!(text, "t".repeat(10), "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_output_of_a_pipeline_that_streams_is_a_stream() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let pipeline = streaming(MockWorker::new(Script::answering("a b")), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        let mut tokens = answer.output().await?;
        let mut text = String::new();
        while let Some(event) = tokens.next().await {
            text.push_str(event?.text());
        }
        assert_eq!(text, "a b", "{delivery}");
        assert_eq!(pipeline.stats().answered, 1);
        let taken = tokio::spawn(async move { answer.next().await.is_none() }).await;
        assert!(taken.expect_err("the stream is elsewhere").is_panic(), "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_text_of_an_answer_is_read_once() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let pipeline = streaming(MockWorker::new(Script::answering("a b")), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        assert_eq!(answer.text().await?, "a b");
        let again = tokio::spawn(async move { answer.text().await }).await;
        assert!(again.expect_err("it has been read").is_panic(), "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_wakes_its_reader_from_inside_its_poll_goes_on() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let pipeline = prompts("wakes")
            .then("wakes", |_cx, _: PromptRequest| async move {
                let mut polls = 0;
                let stream = futures_util::stream::poll_fn(move |cx| {
                    polls += 1;
                    if polls % 2 == 1 {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Ok(match polls {
                        8 => TokenEvent::finish(FinishReason::Stop, Usage::default()),
                        _ => TokenEvent::text_delta("t"),
                    })))
                });
                Ok::<_, BoxError>(TokenStream::from_stream(stream))
            })
            .stage(stage)
            .build()?;
        let mut answer = pipeline.submit("?".into()).await?;
        let text = tokio::time::timeout(1000 * MS, answer.text()).await;
        assert_eq!(text.map_err(|_| format!("{delivery}: the reader was not woken"))??, "ttt");
    }
    Ok(())
}

/// A waker that notes whether a stream was still there when it was called last.
struct Looks {
    stream: Weak<()>,
    found: Mutex<Option<bool>>,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        *self.found.lock().expect("not poisoned") = Some(self.stream.strong_count() > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_of_the_end_of_a_buffered_stream_finds_it_gone() -> TestResult {
    for fails in [false, true] {
        let (held, ends) = (Arc::new(()), Arc::new(Notify::new()));
        let stream = Arc::downgrade(&held);
        let (held, waits) = (Mutex::new(Some(held)), ends.clone());
        let pipeline = prompts("gone")
            .then("makes", move |_cx, _: PromptRequest| {
                let (held, waits) = (held.lock().expect("not poisoned").take(), waits.clone());
                let stream = TokenStream::generate(async move |mut out| {
                    let _held = held;
                    waits.notified().await;
                    if !fails {
                        out.finish(FinishReason::Stop, Usage::default()).await;
                    }
                    Err(WorkerError::stream_cut())
                });
                async move { Ok::<_, BoxError>(stream) }
            })
            .stage(StreamStage::default())
            .build()?;
        let mut answer = pipeline.submit("?".into()).await?;
        settle().await;
        let looks = Arc::new(Looks { stream, found: Mutex::default() });
        let waker = Waker::from(looks.clone());
        let mut event = Box::pin(answer.next());
        assert!(event.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
        ends.notify_one();
        settle().await;
        assert_eq!(*looks.found.lock().expect("not poisoned"), Some(false), "fails: {fails}");
        assert_eq!(event.await.ok_or("the last event")?.is_err(), fails);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_reads_a_cut_stream_is_told_too() -> TestResult {
    let worker = MockWorker::new(Script::answering("a b").cut_after(1));
    let pipeline = prompts("raw").stage(InferenceStage::new(worker)).build()?;
    let mut stream = pipeline.submit("?".into()).await?.output().await?;
    assert_eq!(stream.next().await.ok_or("a token")??.text(), "a ");
    assert!(stream.next().await.ok_or("not a whole answer")?.is_err());
    assert!(stream.next().await.is_none());
    Ok(())
}
