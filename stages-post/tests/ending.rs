//! Filters that end the answer: what becomes of the model server, of what is held, and of the books.

mod common;

use common::{Whole, call, finish, reasoning, run};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use stages_post::{Filtered, PostStage, Redaction, TextFilter};

fn assistant(worker: &MockWorker, post: PostStage, stream: StreamStage) -> Pipeline<PromptRequest, Tokens> {
    Pipeline::builder("assistant")
        .stage(InferenceStage::new(worker.clone()))
        .stage(post)
        .stage(stream)
        .build()
        .expect("a valid plan")
}

#[tokio::test(start_paused = true)]
async fn the_model_server_is_left_and_the_request_is_answered() {
    for stream in [StreamStage::default(), StreamStage::default().direct()] {
        // It would go on for ever.
        let script = Script::new().streaming().text("to be ").text("or STO").text("P not to be").hang();
        let worker = MockWorker::new(script);
        let pipeline = assistant(&worker, PostStage::new().stop_sequences(["STOP"]), stream);
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        let mut text = String::new();
        while let Some(event) = answer.next().await {
            let event = event.expect("answered");
            text.push_str(event.text());
            if event.is_terminal() {
                let stats = worker.stats();
                assert_eq!((stats.live, stats.cancelled, stats.finished), (0, 1, 0), "the stream is gone by then");
            }
        }
        assert_eq!(text, "to be or ");
        let delivered = answer.report().finish.expect("it has ended");
        assert_eq!((delivered.reason, delivered.usage), (FinishReason::Stop, Usage::default()));
        let stats = pipeline.stats();
        assert_eq!((stats.answered, stats.failed, stats.cancelled), (1, 0, 0));
    }
}

#[tokio::test]
async fn the_report_says_what_was_delivered_rather_than_what_the_server_said() {
    let worker = MockWorker::new(Script::answering("to be or not"));
    let pipeline = assistant(&worker, PostStage::new().max_bytes(8), StreamStage::default());
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), "to be or");
    assert_eq!(answer.report().finish.expect("it has ended").reason, FinishReason::Length);
}

#[test]
fn a_sequence_is_known_as_soon_as_it_is_complete() {
    let stage = PostStage::new().stop_sequences(["STOP"]);
    let out = run(&stage, ["a", "STO", "P", "b"].map(TokenEvent::text_delta));
    // There was no terminal event to wait for.
    assert_eq!(out, [TokenEvent::text_delta("a"), TokenEvent::finish(FinishReason::Stop, Usage::default())]);
}

#[test]
fn what_other_kinds_of_text_hold_comes_out_with_the_end() {
    let stage = PostStage::new().redact(Redaction::new().secrets()).stop_sequences(["STOP"]);
    let events = [reasoning("why s"), call(0, "{sk"), TokenEvent::text_delta("a STOP b"), finish()];
    let whole = Whole::of(&run(&stage, events));
    assert_eq!((whole.text.as_str(), whole.reasoning.as_str()), ("a ", "why s"));
    assert_eq!(whole.calls, ["{sk"]);
}

#[test]
fn what_a_filter_before_holds_does_not_come_out() {
    let stage = PostStage::new().trim().max_bytes(3);
    let whole = Whole::of(&run(&stage, ["abc ", "d  ", "e"].map(TokenEvent::text_delta)));
    assert_eq!((whole.text.as_str(), whole.finish.reason), ("abc", FinishReason::Length));
}

#[test]
fn an_end_in_what_is_flushed_keeps_what_the_server_counted() {
    let stage = PostStage::new().redact(Redaction::new().emails()).stop_sequences(["STOP"]);
    let whole = Whole::of(&run(&stage, [TokenEvent::text_delta("a STOP"), finish()]));
    assert_eq!((whole.text.as_str(), whole.finish.usage), ("a ", Usage::new(3, 4)));
}

#[test]
fn a_filter_of_ones_own_may_end_the_answer() {
    struct First;

    impl TextFilter for First {
        fn push(&mut self, text: &str, out: &mut String) -> Filtered {
            out.push_str(text);
            Filtered::End(FinishReason::ContentFilter)
        }

        fn flush(&mut self, _out: &mut String) {}

        fn reset(&mut self) {}
    }

    let whole = Whole::of(&run(&PostStage::new().filter(|| First), ["a", "b"].map(TokenEvent::text_delta)));
    assert_eq!((whole.text.as_str(), whole.finish.reason), ("a", FinishReason::ContentFilter));
}

#[tokio::test]
async fn the_source_is_dropped_before_the_last_text_is_read() {
    let source = std::sync::Arc::new(());
    let held = source.clone();
    let stream = TokenStream::generate(async move |mut out| {
        let _held = held;
        out.text("a STOP b").await;
        std::future::pending().await
    });
    let cx = Context::standalone(RequestOptions::new());
    let mut out = PostStage::new().stop_sequences(["STOP"]).run(&cx, stream).await.expect("it does not fail");
    assert_eq!(out.next().await.expect("an event").expect("no error").text(), "a ");
    assert_eq!(std::sync::Arc::strong_count(&source), 1, "the terminal event has not been asked for yet");
}
