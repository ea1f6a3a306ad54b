//! Checks that decide: nothing leaves before they have, and they leave what they say.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{Whole, call, finish, reasoning, run};
use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Check, TextDelta, Verdict};
use stages_post::{Decision, PostStage};

fn assistant(worker: &MockWorker, post: PostStage, stream: StreamStage) -> Pipeline<PromptRequest, Tokens> {
    Pipeline::builder("assistant")
        .stage(InferenceStage::new(worker.clone()))
        .stage(post)
        .stage(stream)
        .build()
        .expect("a valid plan")
}

/// A stage with one check that always decides so.
fn deciding(decision: Decision) -> PostStage {
    PostStage::new().decide("policy", move |_cx, _text| {
        let decision = decision.clone();
        async move { Ok::<_, Infallible>(decision) }
    })
}

fn events() -> Vec<TokenEvent> {
    let delta = TextDelta::new("to be").with_token_ids(&[7]).with_raw(Bytes::from_static(b"data"));
    vec![reasoning("why"), TokenEvent::Text(delta), call(0, "{}"), TokenEvent::text_delta(" so"), finish()]
}

fn checks(whole: &Whole) -> Vec<String> {
    whole.finish.checks.iter().map(ToString::to_string).collect()
}

#[test]
fn an_answer_that_passes_is_delivered_as_it_was() {
    let out = run(&deciding(Decision::Pass), events());
    let (last, deltas) = out.split_last().expect("a terminal event");
    assert_eq!(deltas, &events()[..4], "with its ids and frames");
    let TokenEvent::Finish(finish) = last else { panic!("{last:?}") };
    assert_eq!(finish.checks, [Check::new("policy", Verdict::Passed)]);
    assert_eq!((finish.reason, finish.usage), (FinishReason::Stop, Usage::new(3, 4)));
}

#[test]
fn nothing_of_a_refused_answer_is_delivered() {
    let whole = Whole::of(&run(&deciding(Decision::Refuse("rude".to_owned())), events()));
    assert_eq!((whole.text.as_str(), whole.reasoning.as_str(), whole.calls.len()), ("", "", 0));
    assert_eq!(whole.finish.reason, FinishReason::ContentFilter);
    assert_eq!(checks(&whole), ["policy: refused: rude"]);
}

#[test]
fn a_replacement_stands_alone() {
    let out = run(&deciding(Decision::Replace("fine".to_owned())), events());
    assert_eq!((out.len(), &out[0]), (2, &TokenEvent::text_delta("fine")));
    assert_eq!(checks(&Whole::of(&out)), ["policy: replaced"]);
}

#[test]
fn calls_that_were_replaced_are_not_asked_for() {
    let asks = TokenEvent::finish(FinishReason::ToolCalls, Usage::default());
    let out = run(&deciding(Decision::Replace("fine".to_owned())), [call(0, "{}"), asks.clone()]);
    assert_eq!(Whole::of(&out).finish.reason, FinishReason::Stop);
    let out = run(&deciding(Decision::Pass), [call(0, "{}"), asks]);
    assert_eq!(Whole::of(&out).finish.reason, FinishReason::ToolCalls);
}

#[test]
fn each_check_sees_what_the_one_before_leaves_and_none_sees_a_refused_answer() {
    let stage = PostStage::new()
        .trim()
        .decide("shorter", |_cx, text: String| async move {
            assert_eq!(text, "to be", "behind the filters");
            Ok::<_, Infallible>(Decision::Replace(text.replace("to ", "")))
        })
        .decide("final", |_cx, text: String| async move { Ok::<_, Infallible>(Decision::Refuse(text)) })
        .decide("never", |_cx, _text| async move { panic!("there is nothing to look at") as Result<_, Infallible> });
    let whole = Whole::of(&run(&stage, [TokenEvent::text_delta(" to be "), finish()]));
    assert_eq!(checks(&whole), ["shorter: replaced", "final: refused: be", "never: skipped: the answer was refused"]);
    assert_eq!(whole.text, "");
}

#[test]
fn what_was_void_is_not_looked_at() {
    let stage = PostStage::new().decide("text", |_cx, text: String| async move {
        assert_eq!(text, "new");
        Ok::<_, Infallible>(Decision::Pass)
    });
    let events = [TokenEvent::text_delta("old"), TokenEvent::Reset, TokenEvent::text_delta("new"), finish()];
    assert_eq!(Whole::of(&run(&stage, events)).text, "new");
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_it_is_decided() {
    for stream in [StreamStage::default(), StreamStage::default().direct()] {
        let worker = MockWorker::new(Script::answering("to be or not"));
        let decided = Arc::new(AtomicBool::new(false));
        let flag = decided.clone();
        let post = PostStage::new().decide("slow", move |_cx, _text| {
            let flag = flag.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                flag.store(true, Ordering::SeqCst);
                Ok::<_, Infallible>(Decision::Pass)
            }
        });
        let pipeline = assistant(&worker, post, stream);
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        let first = answer.next().await.expect("an event").expect("answered");
        assert!(decided.load(Ordering::SeqCst), "{first:?} came too early");
        assert_eq!(first.text(), "to ");
    }
}

#[tokio::test]
async fn an_error_of_a_check_fails_the_request_and_lets_nothing_out() {
    #[derive(Debug, thiserror::Error)]
    #[error("the rules are gone")]
    struct Gone;

    let worker = MockWorker::new(Script::answering("to be"));
    let own = PostStage::new().decide("policy", |_cx, _text| async move { Err::<Decision, _>(Gone) });
    let workers = PostStage::new().decide("policy", |_cx, _text| async move {
        Err::<Decision, _>(WorkerError::new(WorkerErrorKind::RateLimited, "slow down").with_status(429))
    });
    for (post, kind) in [(own, ErrorKind::Stage), (workers, ErrorKind::Worker(WorkerErrorKind::RateLimited))] {
        let pipeline = assistant(&worker, post, StreamStage::default());
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        let error = answer.next().await.expect("an item").expect_err("the check failed");
        assert_eq!((error.kind(), error.stage()), (kind, Some("post")));
        if kind == ErrorKind::Stage {
            assert_eq!(std::error::Error::source(&error).expect("kept").to_string(), "the rules are gone");
        }
        assert_eq!(pipeline.stats().failed, 1);
    }
}

#[tokio::test]
async fn an_error_of_the_worker_is_the_workers() {
    let worker = MockWorker::new(Script::new().streaming().text("to").fail(WorkerError::stream_cut()));
    let pipeline = assistant(&worker, deciding(Decision::Pass), StreamStage::default());
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    let error = answer.next().await.expect("an item").expect_err("the worker failed");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Worker(WorkerErrorKind::StreamCut), Some("infer")));
}

#[tokio::test(start_paused = true)]
async fn a_check_is_dropped_with_its_request() {
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let worker = MockWorker::new(Script::answering("to be"));
    let dropped = Arc::new(AtomicBool::new(false));
    let (flag, (started, mut starts)) = (dropped.clone(), tokio::sync::mpsc::channel(1));
    let post = PostStage::new().decide("endless", move |_cx, _text| {
        let (guard, started) = (Dropped(flag.clone()), started.clone());
        async move {
            let _guard = guard;
            started.send(()).await.expect("somebody waits");
            std::future::pending::<Result<Decision, Infallible>>().await
        }
    });
    let pipeline = assistant(&worker, post, StreamStage::default());
    let answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    starts.recv().await.expect("it starts");
    assert_eq!(worker.stats().live, 0, "the slot is free while the check takes its time");
    drop(answer);
    pipeline.drain(Duration::from_secs(1)).await;
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_that_cannot_be_held_is_refused_and_its_worker_left() {
    let endless = (0..100).fold(Script::new().streaming(), |script, _| script.text("t ")).hang();
    let worker = MockWorker::new(endless);
    // Each of the events counts with what it takes in memory: some of them are within the limit, all of them are not.
    let pipeline = assistant(&worker, deciding(Decision::Pass).check_limit(5000), StreamStage::default());
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), "");
    let finish = answer.report().finish.expect("it has ended");
    assert_eq!(finish.reason, FinishReason::ContentFilter);
    assert_eq!(finish.checks[0].to_string(), "policy: refused: the answer is longer than the 5000 bytes that are held");
    assert_eq!((worker.stats().live, worker.stats().cancelled), (0, 1));
}

#[tokio::test]
async fn what_was_checked_reaches_the_report() {
    let worker = MockWorker::new(Script::answering("to be"));
    let pipeline = assistant(&worker, deciding(Decision::Replace("x".to_owned())), StreamStage::default());
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), "x");
    let report = answer.report();
    assert_eq!(report.finish.as_ref().expect("it has ended").checks, [Check::new("policy", Verdict::Replaced)]);
    assert!(report.to_string().contains("check policy: replaced"), "{report}");
}
