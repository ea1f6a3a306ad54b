//! What becomes of each kind of event, with the stage called by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use orchestrator_core::prelude::*;
use orchestrator_core::token::{TextDelta, ToolCallDelta};
use stages_post::{Filtered, PostStage, TextFilter};
use tokio::sync::Notify;
use tokio::time::Instant;

type Item = Result<TokenEvent, WorkerError>;

/// Everything that comes out of `stage` for `items`, up to its `None`.
fn run(stage: &PostStage, items: Vec<Item>) -> Vec<Item> {
    let cx = Context::standalone(RequestOptions::new());
    let source = TokenStream::from_stream(stream::iter(items));
    let run = stage.run(&cx, source).now_or_never().expect("it does not wait");
    let mut filtered = run.expect("it does not fail");
    let mut out = Vec::new();
    while let Some(item) = filtered.next().now_or_never().expect("everything is ready") {
        out.push(item);
    }
    out
}

fn text(text: &str) -> Item {
    Ok(TokenEvent::text_delta(text))
}

fn finish() -> Item {
    Ok(TokenEvent::finish(FinishReason::Length, Usage::new(3, 4)))
}

/// What came out, readable and comparable: errors have no `PartialEq`.
fn shown(items: &[Item]) -> Vec<String> {
    let show = |item: &Item| match item {
        Ok(TokenEvent::Text(delta)) => format!("text {:?}", delta.text()),
        Ok(TokenEvent::Reasoning(delta)) => format!("reasoning {:?}", delta.text()),
        Ok(TokenEvent::ToolCall(call)) => format!("tool {:?}", call.arguments),
        Ok(TokenEvent::Reset) => "reset".to_owned(),
        Ok(TokenEvent::Finish(finish)) => format!("finish {}", finish.reason.as_str()),
        Err(error) => error.to_string(),
    };
    items.iter().map(show).collect()
}

/// Holds all text back until the end.
#[derive(Default)]
struct Hold(String);

impl TextFilter for Hold {
    fn push(&mut self, text: &str, _out: &mut String) -> Filtered {
        self.0.push_str(text);
        Filtered::Changed
    }

    fn flush(&mut self, out: &mut String) {
        out.push_str(&self.0);
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

#[test]
fn what_no_filter_changes_keeps_its_ids_and_its_frame() {
    let delta = TextDelta::new("to").with_token_ids(&[7, 8]).with_raw(Bytes::from_static(b"data: to"));
    let stage = PostStage::new().trim().map_text(|text| text.to_owned().into());
    let out = run(&stage, vec![Ok(TokenEvent::Text(delta.clone())), finish()]);
    assert_eq!(out[0].as_ref().expect("a text"), &TokenEvent::Text(delta));
}

#[test]
fn what_a_filter_changes_loses_its_ids_and_its_frame() {
    let delta = TextDelta::new(" to").with_token_ids(&[7, 8]).with_raw(Bytes::from_static(b"data:  to"));
    let out = run(&PostStage::new().trim(), vec![Ok(TokenEvent::Text(delta)), finish()]);
    assert_eq!(out[0].as_ref().expect("a text"), &TokenEvent::text_delta("to"));
}

#[test]
fn no_event_is_without_text() {
    let items = vec![text(" "), text(""), text("a"), text(""), text("b"), text("\n"), finish()];
    let out = run(&PostStage::new().trim().map_text(|text| text.replace('b', "").into()), items);
    assert_eq!(shown(&out), [r#"text "a""#, "finish length"]);
}

#[test]
fn held_text_comes_out_before_the_terminal_event() {
    let out = run(&PostStage::new().filter(Hold::default), vec![text("to "), text("be"), finish()]);
    assert_eq!(shown(&out), [r#"text "to be""#, "finish length"]);
    let Ok(TokenEvent::Finish(finish)) = &out[1] else { panic!("the terminal event comes last") };
    assert_eq!(finish.usage, Usage::new(3, 4));
}

#[test]
fn nothing_follows_the_terminal_event() {
    let out = run(&PostStage::new().filter(Hold::default), vec![text("a"), finish(), text("b"), finish()]);
    assert_eq!(shown(&out), [r#"text "a""#, "finish length"]);
}

#[test]
fn reasoning_and_tool_calls_overtake_held_text() {
    let items = vec![
        text("a "),
        Ok(TokenEvent::Reasoning(TextDelta::new(" why "))),
        Ok(TokenEvent::ToolCall(Box::new(ToolCallDelta::new(0, " {} ")))),
        text("b"),
        finish(),
    ];
    let out = run(&PostStage::new().trim(), items);
    let expected = [r#"text "a""#, r#"reasoning " why ""#, r#"tool " {} ""#, r#"text " b""#, "finish length"];
    assert_eq!(shown(&out), expected);
}

#[test]
fn a_reset_starts_the_answer_again() {
    let items = vec![text("void "), Ok(TokenEvent::Reset), text(" new"), finish()];
    let out = run(&PostStage::new().trim(), items);
    assert_eq!(shown(&out), [r#"text "void""#, "reset", r#"text "new""#, "finish length"]);
}

#[test]
fn an_error_ends_the_answer_without_the_held_text() {
    let items = vec![text("a"), Err(WorkerError::stream_cut()), finish()];
    let out = run(&PostStage::new().filter(Hold::default), items);
    assert_eq!(shown(&out), [WorkerError::stream_cut().to_string()]);
}

#[test]
fn an_answer_without_terminal_event_stays_without() {
    let out = run(&PostStage::new().filter(Hold::default), vec![text("a")]);
    assert!(out.is_empty());
}

#[test]
fn a_piece_that_is_not_there_yet_is_waited_for() {
    let cx = Context::standalone(RequestOptions::new());
    let source = TokenStream::generate(async move |mut out| {
        out.text(" ").await;
        std::future::pending().await
    });
    let stage = PostStage::new().trim();
    let mut filtered = stage.run(&cx, source).now_or_never().expect("it does not wait").expect("it does not fail");
    assert!(filtered.next().now_or_never().is_none(), "neither an empty event nor an end");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_always_ready_does_not_outlive_its_deadline() {
    let polled = Arc::new(Notify::new());
    let notify = polled.clone();
    let pipeline = Pipeline::builder("assistant")
        .then("model", move |_cx, _prompt: PromptRequest| {
            let notify = notify.clone();
            let space = stream::repeat_with(move || {
                notify.notify_one();
                Ok(TokenEvent::text_delta("\n"))
            });
            async move { Ok::<_, BoxError>(TokenStream::from_stream(space)) }
        })
        .stage(PostStage::new().trim())
        .stage(StreamStage::default().direct())
        .build()
        .expect("a valid plan");
    let request = PromptRequest::new("?").deadline(Instant::now() + Duration::from_secs(5));
    let mut answer = pipeline.submit(request).await.expect("let in");
    // The clock moves only if the reader lets others have their turn.
    let clock = async {
        polled.notified().await;
        tokio::time::advance(Duration::from_secs(6)).await;
    };
    let (item, ()) = tokio::join!(answer.next(), clock);
    let error = item.expect("an item").expect_err("the source never ends");
    assert_eq!(error.kind(), ErrorKind::Deadline);
}

#[test]
fn every_request_has_filters_of_its_own() {
    let stage = PostStage::new().trim();
    for _ in 0..2 {
        assert_eq!(shown(&run(&stage, vec![text(" a"), finish()]))[0], r#"text "a""#);
    }
}

#[test]
fn a_maker_may_choose_among_filters() {
    let stage = PostStage::new().filter(|| Box::new(Hold::default()) as Box<dyn TextFilter>);
    let out = run(&stage, vec![text("a"), Ok(TokenEvent::Reset), text("b"), finish()]);
    assert_eq!(shown(&out), ["reset", r#"text "b""#, "finish length"]);
}
