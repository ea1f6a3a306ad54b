//! Text, reasoning and tool calls: each kind by itself.

mod common;

use bytes::Bytes;
use common::{Whole, call, finish, reasoning, run};
use orchestrator_core::prelude::*;
use orchestrator_core::token::{TextDelta, ToolCallDelta};
use stages_post::{PostStage, Redaction};

#[test]
fn what_is_held_of_one_kind_waits_for_more_of_that_kind() {
    let stage = PostStage::new().redact(Redaction::new().secrets());
    let (first, second) = ("sk-01234567", "89abcdef");
    let out = run(
        &stage,
        [
            TokenEvent::text_delta(first),
            reasoning(first),
            call(0, first),
            call(1, first),
            reasoning(second),
            call(1, second),
            TokenEvent::text_delta(second),
            call(0, second),
            finish(),
        ],
    );
    let whole = Whole::of(&out);
    assert_eq!((whole.text.as_str(), whole.reasoning.as_str()), ("[secret]", "[secret]"));
    assert_eq!(whole.calls, ["[secret]", "[secret]"]);
}

#[test]
fn a_call_keeps_its_id_and_name_where_its_arguments_are_held() {
    let stage = PostStage::new().redact(Redaction::new().secrets());
    let opening = ToolCallDelta::new(3, "sk").opening("call_1", "send");
    let out = run(&stage, [TokenEvent::ToolCall(Box::new(opening)), call(3, "-no"), finish()]);
    let expected = ToolCallDelta::new(3, "").opening("call_1", "send");
    assert_eq!(out[0], TokenEvent::ToolCall(Box::new(expected)));
    assert_eq!(out[1], call(3, "sk-no"), "all that was held, at the end");
    assert_eq!(out[2], finish());
}

#[test]
fn other_filters_leave_reasoning_and_calls_alone() {
    let stage = PostStage::new().trim().stop_sequences(["STOP"]).max_bytes(1).citations(|_, _| Some("x".to_owned()));
    let events = [reasoning(" STOP [1] "), call(0, " STOP [1] "), finish()];
    assert_eq!(run(&stage, events.clone()), events);
}

#[test]
fn a_piece_of_reasoning_keeps_its_ids_but_not_its_frame() {
    let delta = |text: &str| TextDelta::new(text).with_token_ids(&[7]).with_raw(Bytes::from_static(b"data"));
    let events = ["<think>", "why", "</think>", "so"].map(|text| TokenEvent::Text(delta(text)));
    let out = run(&PostStage::new().split_reasoning(), events.into_iter().chain([finish()]));
    let thought = TokenEvent::Reasoning(TextDelta::new("why").with_token_ids(&[7]));
    assert_eq!(out, [thought, TokenEvent::Text(delta("so")), finish()]);
}

#[test]
fn reasoning_is_split_off_ahead_of_all_filters_and_then_redacted() {
    let stage = PostStage::new().max_bytes(2).redact(Redaction::new().emails()).split_reasoning();
    let out = run(&stage, [TokenEvent::text_delta("<think>ask bob@example.org</think>ok"), finish()]);
    let whole = Whole::of(&out);
    assert_eq!((whole.text.as_str(), whole.reasoning.as_str()), ("ok", "ask [email]"));
    assert_eq!(whole.finish.usage, Usage::new(3, 4), "nothing was cut");
}

#[test]
fn a_reset_forgets_what_is_held_of_every_kind() {
    let stage = PostStage::new().redact(Redaction::new().secrets()).split_reasoning();
    let held = || [reasoning("sk-0"), call(0, "sk-0"), TokenEvent::text_delta("<think>sk-0")];
    let rest = [reasoning("1"), call(0, "2"), TokenEvent::text_delta("3"), finish()];
    let out = run(&stage, held().into_iter().chain([TokenEvent::Reset]).chain(rest.clone()));
    let reset = out.iter().position(|event| *event == TokenEvent::Reset).expect("it goes on");
    assert_eq!(out[reset + 1..], rest);
}
