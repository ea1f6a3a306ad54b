use futures_util::StreamExt;

use super::model::{Dies, Fault, Model};
use super::*;
use crate::{FailOver, Resume};

const WORDS: &[&str] = &["to ", "be ", "or ", "not"];

fn cut(after: usize) -> Fault {
    Fault::After(after, None)
}

fn refusal() -> Fault {
    Fault::Call(error(WorkerErrorKind::InvalidRequest))
}

#[tokio::test(start_paused = true)]
async fn where_nothing_was_delivered_the_request_is_asked_again_as_it_was() {
    for resume in [Resume::Continue, Resume::Restart] {
        let model = Model::new(WORDS).faults([Fault::Call(error(WorkerErrorKind::Transient)), cut(0)]);
        let read = ask(&FailOver::new(model.clone()).resume(resume), plain()).await;
        assert_eq!((read.text, read.resets, model.calls()), (model.text(), 0, 3));
        assert!((0..3).all(|call| model.prefix(call).is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn text_without_a_letter_is_nothing() {
    let model = Model::saying(vec!["".into(), "to ".into(), "be".into()].into_iter().map(delta).collect());
    let model = model.faults([cut(1)]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!((read.text.as_str(), model.prefix(1)), ("to be", None));
}

fn delta(text: String) -> orchestrator_core::token::TextDelta {
    orchestrator_core::token::TextDelta::new(text)
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_understands_it_is_told_that_all_is_void() {
    let model = Model::new(WORDS).faults([cut(3)]);
    let worker = FailOver::new(model.clone()).resume(Resume::Restart).resets(true);
    let read = ask(&worker, plain()).await;
    assert_eq!((read.text, read.resets, model.prefix(1)), (model.text(), 1, None));
    let usage = read.end.expect("a whole answer").usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (super::model::PROMPT, 4));
}

#[tokio::test(start_paused = true)]
async fn the_reader_of_one_request_may_understand_it_where_others_do_not() {
    let model = Model::new(WORDS).faults([cut(3), cut(3)]);
    let worker = FailOver::new(model.clone()).resume(Resume::Restart);
    assert_eq!(ask(&worker, plain()).await.error().kind(), WorkerErrorKind::StreamCut);
    let mut understands = plain();
    understands.context = Context::standalone(RequestOptions::new().resets());
    let read = ask(&worker, understands).await;
    assert_eq!((read.text, read.resets), (model.text(), 1));
}

#[tokio::test(start_paused = true)]
async fn going_on_comes_before_taking_back() {
    let model = Model::new(WORDS).faults([cut(3)]);
    let read = ask(&FailOver::new(model.clone()).resets(true), plain()).await;
    assert_eq!((read.text, read.resets), (model.text(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_prefix_is_taken_back_and_not_asked_again() {
    let model = Model::new(WORDS).faults([cut(2), refusal(), cut(2)]);
    let read = ask(&FailOver::new(model.clone()).resets(true), plain()).await;
    assert_eq!((read.text, read.resets), (model.text(), 2));
    let prefixes: Vec<_> = (0..model.calls()).map(|call| model.prefix(call).is_some()).collect();
    assert_eq!(prefixes, [false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn the_reader_keeps_what_it_has_until_there_is_something_else() {
    let model = Model::new(WORDS).faults([cut(3), cut(0), Fault::Call(error(WorkerErrorKind::Overloaded))]);
    let worker = FailOver::new(model.clone()).resume(Resume::Restart).resets(true);
    let stream = worker.infer(plain()).await.expect("a stream");
    let events: Vec<_> = stream.map(|item| item.expect("no error")).collect().await;
    let at = events.iter().position(|event| *event == TokenEvent::Reset).expect("a reset");
    assert_eq!((at, events[at + 1].text(), events.len()), (3, "to ", 3 + 1 + 4 + 1));
    assert_eq!(model.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_takes_back_what_it_said_is_gone_on_with_behind_what_it_says_then() {
    let void = vec![TokenEvent::text_delta("void "), TokenEvent::Reset];
    let model = Model::new(WORDS).faults([Fault::Says(void)]);
    let read = ask(&FailOver::new(Dies(model.clone(), 4)), plain()).await;
    assert_eq!((read.text, read.resets), (model.text(), 1));
    assert_eq!(model.prefix(1).map(|prefix| prefix.text).as_deref(), Some("to be "));
}

#[tokio::test(start_paused = true)]
async fn a_worker_cannot_take_back_what_came_before_it() {
    let anew = Fault::Says(vec![TokenEvent::Reset]);
    let model = Model::new(WORDS).faults([cut(2), anew]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!((read.text, read.resets, model.calls()), (model.text(), 0, 3));
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_is_not_part_of_the_budget() {
    let model = Model::new(WORDS).known_as(WorkerInfo::new("box")).faults([cut(3), cut(3)]);
    let prompt = PromptRequest::new("?").max_tokens(std::num::NonZeroU32::new(4).expect("not zero"));
    let read = ask(&FailOver::new(model.clone()).resets(true), request(prompt)).await;
    assert_eq!((read.text, read.resets), (model.text(), 2));
}

#[tokio::test(start_paused = true)]
async fn what_the_new_beginning_fails_by_is_told_and_not_tried_again() {
    for kind in [WorkerErrorKind::ContentFilter, WorkerErrorKind::InvalidRequest, WorkerErrorKind::Auth] {
        let model = Model::new(WORDS).faults([cut(2), refusal(), Fault::Call(error(kind))]);
        let read = ask(&FailOver::new(model.clone()).resets(true), plain()).await;
        assert_eq!((read.error().kind(), model.calls()), (kind, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_attempt() {
    let model = Model::new(WORDS).faults([cut(2), refusal()]);
    let started = tokio::time::Instant::now();
    let read = ask(&FailOver::new(model.clone()).resets(true), plain()).await;
    let failed = &read.finish().origin.as_ref().expect("who it was").failed;
    let kinds: Vec<_> = failed.iter().map(|attempt| attempt.kind).collect();
    assert_eq!(kinds, [WorkerErrorKind::StreamCut, WorkerErrorKind::InvalidRequest]);
    assert!(started.elapsed() >= Duration::from_millis(1_500), "the third call in so short a time");
}
