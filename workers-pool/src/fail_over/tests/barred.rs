use orchestrator_core::request::{ResponseFormat, Tool};
use orchestrator_core::token::{TextDelta, ToolCallDelta};
use orchestrator_core::worker::Prefix;

use super::model::{Dies, Fault, Model};
use super::*;
use crate::{FailOver, Resume};

const WORDS: &[&str] = &["to ", "be ", "or ", "not"];

/// Cuts an answer in the middle; returns what comes of it, and how many calls there were.
async fn cut(prompt: PromptRequest, worker: impl FnOnce(FailOver<Model>) -> FailOver<Model>) -> (Read, usize) {
    let model = Model::new(WORDS).faults([Fault::After(2, None)]);
    let read = ask(&worker(FailOver::new(model.clone())), request(prompt)).await;
    (read, model.calls())
}

fn is_cut((read, calls): &(Read, usize)) -> bool {
    assert_eq!(read.text, "to be ");
    read.error().kind() == WorkerErrorKind::StreamCut && *calls == 1
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_given_form_is_not_gone_on_with() {
    let tool = Tool { name: "t".to_owned(), description: String::new(), parameters: "{}".into() };
    let schema = ResponseFormat::JsonSchema { name: "s".to_owned(), schema: true.into() };
    for prompt in [
        PromptRequest::new("?").tool(tool),
        PromptRequest::new("?").response_format(ResponseFormat::Json),
        PromptRequest::new("?").response_format(schema),
    ] {
        assert!(is_cut(&cut(prompt, |worker| worker).await));
    }
}

#[tokio::test(start_paused = true)]
async fn nor_is_one_whose_form_a_vendors_field_gives() {
    for field in ["grammar", "json_schema", "guided_regex", "structured_outputs", "response_format", "tools", "echo"] {
        assert!(is_cut(&cut(PromptRequest::new("?").vendor(field, "x"), |worker| worker).await), "{field}");
    }
    let (read, calls) = cut(PromptRequest::new("?").vendor("top_k", 3), |worker| worker).await;
    assert_eq!((read.text.as_str(), calls), ("to be or not", 2));
}

#[tokio::test(start_paused = true)]
async fn nor_behind_reasoning_or_a_piece_of_a_tool_call() {
    let thought = TokenEvent::Reasoning(TextDelta::new("hm"));
    let tool = TokenEvent::ToolCall(Box::new(ToolCallDelta::new(0, "{").opening("c", "t")));
    for begun in [thought, tool] {
        let model = Model::new(WORDS).faults([Fault::Says(vec![begun, TokenEvent::text_delta("to ")])]);
        let model = Dies(model, 2);
        let read = ask(&FailOver::new(model.clone()), plain()).await;
        assert_eq!((read.error().kind(), model.0.calls()), (WorkerErrorKind::StreamCut, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_thought_is_none() {
    let empty = TokenEvent::Reasoning(TextDelta::new(""));
    let model = Model::new(WORDS).faults([Fault::Says(vec![empty])]);
    let read = ask(&FailOver::new(Dies(model.clone(), 3)), plain()).await;
    assert_eq!((read.text, model.calls()), (model.text(), 2));
}

#[tokio::test(start_paused = true)]
async fn nor_where_the_worker_cannot_or_shall_not() {
    assert!(is_cut(&cut(PromptRequest::new("?"), |worker| worker.resume(Resume::Restart)).await));
    let model = Model::new(WORDS).known_as(WorkerInfo::new("box").model("m")).faults([Fault::After(2, None)]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert!(is_cut(&(read, model.calls())));
}

#[tokio::test(start_paused = true)]
async fn tokens_of_the_callers_without_a_text_are_told_by_ids_or_not_at_all() {
    let unnamed = WorkerInfo::new("box").continues();
    let model = Model::new(WORDS).known_as(unnamed).faults([Fault::After(1, None)]);
    let mut asked = plain();
    asked.prefix = Some(Prefix::new("").token_ids(vec![100]));
    let read = ask(&FailOver::new(model.clone()), asked).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::StreamCut, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_prefix_ends_with_the_error_of_the_cut() {
    let refusal = Fault::Call(error(WorkerErrorKind::InvalidRequest));
    let model = Model::new(WORDS).faults([Fault::After(2, None), refusal]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::StreamCut, 2));
}
