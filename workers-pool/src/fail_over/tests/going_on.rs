use std::num::NonZeroU32;

use orchestrator_core::worker::Prefix;

use super::model::{Fault, Model, PROMPT};
use super::*;
use crate::FailOver;

const WORDS: &[&str] = &["the ", "quick ", "brown ", "fox ", "jumps"];

fn cut(after: usize) -> Fault {
    Fault::After(after, None)
}

fn limited(most: u32) -> PromptRequest {
    PromptRequest::new("?").max_tokens(NonZeroU32::new(most).expect("not zero"))
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_on_by_the_ids_of_its_tokens() {
    let model = Model::new(WORDS).faults([cut(2)]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(read.text, model.text());
    let expected = Prefix::new("the quick ").token_ids(vec![100, 101]).model("m");
    assert_eq!((model.prefix(0), model.prefix(1)), (None, Some(expected)));
    assert_eq!((read.resets, model.calls()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_by_its_text_where_a_delta_had_no_ids() {
    let model = Model::new(WORDS).without_ids().faults([cut(2), cut(1)]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(read.text, model.text());
    assert_eq!(model.prefix(1), Some(Prefix::new("the quick ").model("m")));
    assert_eq!(model.prefix(2), Some(Prefix::new("the quick brown ").model("m")));
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_failure_in_mid_stream_is_gone_on_behind() {
    use WorkerErrorKind as K;
    for failure in [WorkerError::stream_cut(), stalled(), error(K::Transient), error(K::Protocol), error(K::Overloaded)]
    {
        let model = Model::new(WORDS).faults([Fault::After(3, Some(failure))]);
        let read = ask(&FailOver::new(model.clone()), plain()).await;
        assert_eq!((read.text, model.calls()), (model.text(), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_tokens_is_the_callers() {
    let model = Model::new(WORDS).faults([cut(2), cut(1)]);
    let read = ask(&FailOver::new(model.clone()), request(limited(4))).await;
    assert_eq!(read.text, "the quick brown fox ");
    assert_eq!((read.finish().reason, read.finish().usage.completion_tokens), (FinishReason::Length, 4));
    let left: Vec<_> = model.asked().iter().map(|asked| asked.sampling.max_tokens.map(NonZeroU32::get)).collect();
    assert_eq!(left, [Some(4), Some(2), Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_by_a_vendors_name_is_one_too() {
    for field in ["max_tokens", "max_completion_tokens", "n_predict"] {
        let model = Model::new(WORDS).faults([cut(1)]);
        let prompt = PromptRequest::new("?").vendor(field, 3).vendor("min_tokens", 2).vendor("top_k", 5);
        let read = ask(&FailOver::new(model.clone()), request(prompt)).await;
        assert_eq!(read.text, "the quick brown ");
        let sampling = &model.asked()[1].sampling;
        assert!(sampling.vendor.get(field).is_none(), "{field} would hold besides");
        assert_eq!(sampling.vendor["min_tokens"], 1);
        assert_eq!(sampling.vendor["top_k"], 5);
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_of_the_budget_is_left_the_answer_is_whole() {
    let model = Model::new(WORDS).faults([cut(2)]);
    let read = ask(&FailOver::new(model.clone()), request(limited(2))).await;
    assert_eq!(read.text, "the quick ");
    let finish = read.finish();
    assert_eq!((finish.reason, finish.usage.completion_tokens, model.calls()), (FinishReason::Length, 2, 1));
    let origin = finish.origin.as_ref().expect("who it was");
    assert_eq!((origin.worker.as_str(), origin.failed.len()), ("box", 1));
}

#[tokio::test(start_paused = true)]
async fn what_ends_an_answer_is_not_hidden_by_its_budget() {
    let model = Model::new(WORDS).faults([Fault::After(2, Some(error(WorkerErrorKind::ContentFilter)))]);
    let read = ask(&FailOver::new(model.clone()), request(limited(2))).await;
    assert_eq!(read.error().kind(), WorkerErrorKind::ContentFilter);
}

#[tokio::test(start_paused = true)]
async fn the_usage_is_that_of_the_whole_answer() {
    for model in [Model::new(WORDS), Model::new(WORDS).without_ids()] {
        let model = model.faults([cut(2), cut(1)]);
        let read = ask(&FailOver::new(model.clone()), plain()).await;
        let usage = read.finish().usage;
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (PROMPT, 5));
        // The server had the answer's beginning in its cache; of the prompt there is no more than there is.
        assert_eq!(usage.cached_tokens, PROMPT);
    }
}

#[tokio::test(start_paused = true)]
async fn the_terminal_event_names_who_answered_and_who_failed() {
    let model = Model::new(WORDS).faults([cut(2), Fault::Call(error(WorkerErrorKind::Overloaded))]);
    let read = ask(&FailOver::new(model), plain()).await;
    let origin = read.finish().origin.clone().expect("who it was");
    assert_eq!((origin.worker.as_str(), origin.model.as_deref()), ("box", Some("m")));
    let failed: Vec<_> = origin.failed.iter().map(|attempt| (attempt.kind, attempt.begun)).collect();
    assert_eq!(failed, [(WorkerErrorKind::StreamCut, true), (WorkerErrorKind::Overloaded, false)]);
}

#[tokio::test(start_paused = true)]
async fn an_undisturbed_answer_is_as_the_worker_gave_it() {
    let model = Model::new(WORDS);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!((read.text.as_str(), read.finish().usage.prompt_tokens), (model.text().as_str(), PROMPT));
    assert_eq!(read.finish().origin, None);
}

#[tokio::test(start_paused = true)]
async fn another_model_gets_no_ids() {
    let model = Model::new(WORDS).known_as(WorkerInfo::new("box").model("other").continues());
    let model = model.of_many(&["m"]).faults([cut(2)]);
    ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(model.prefix(1), Some(Prefix::new("the quick ").model("m")));
}

#[tokio::test(start_paused = true)]
async fn ids_of_two_models_are_not_mixed() {
    let several = || WorkerInfo::new("fleet").continues();
    let model = Model::new(WORDS).known_as(several()).of_many(&["m", "other"]).faults([cut(1), cut(1)]);
    ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(model.prefix(1).map(|prefix| prefix.token_ids), Some(vec![100]));
    assert_eq!(model.prefix(2), Some(Prefix::new("the quick ").model("m")));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_failed_without_a_word_does_not_count_as_the_one_that_began() {
    let several = WorkerInfo::new("fleet").continues();
    let refused = Fault::Call(error(WorkerErrorKind::Overloaded));
    let model = Model::new(WORDS).known_as(several).of_many(&["m", "other"]).faults([cut(1), refused]);
    ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(model.prefix(2).map(|prefix| prefix.token_ids), Some(vec![100]));
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_had_of_the_answer_comes_first() {
    for before in [Prefix::new("the ").token_ids(vec![100]).model("m"), Prefix::new("the ").token_ids(vec![100])] {
        let model = Model::new(WORDS).faults([cut(1)]);
        let mut asked = plain();
        asked.prefix = Some(before);
        let read = ask(&FailOver::new(model.clone()), asked).await;
        assert_eq!(read.text, "quick brown fox jumps");
        assert_eq!(model.prefix(1).map(|prefix| prefix.token_ids), Some(vec![100, 101]));
        let usage = read.finish().usage;
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (PROMPT + 1, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn ids_behind_a_text_of_the_callers_are_not_all_ids() {
    let model = Model::new(WORDS).faults([cut(1)]);
    let mut asked = plain();
    asked.prefix = Some(Prefix::new("the "));
    let read = ask(&FailOver::new(model.clone()), asked).await;
    assert_eq!(read.text, "quick brown fox jumps");
    assert_eq!(model.prefix(1), Some(Prefix::new("the quick ").model("m")));
}

#[tokio::test(start_paused = true)]
async fn a_stop_text_across_the_seam_is_seen() {
    let words = &["to ", "E", "N", "D", " be"];
    let stopping = || request(PromptRequest::new("?").stop("END"));
    let model = Model::new(words).faults([cut(2)]);
    let read = ask(&FailOver::new(model.clone()), stopping()).await;
    let finish = read.finish();
    assert_eq!((read.text.as_str(), finish.reason), ("to E", FinishReason::Stop));
    assert_eq!(finish.usage.completion_tokens, 2);
    assert_eq!(finish.origin.as_ref().map(|origin| origin.failed.len()), Some(1));

    // What only looked like one is all there, also where the second call dies before that is clear.
    let words = &["to ", "E", "N", "X", " be"];
    let model = Model::new(words).faults([cut(2), cut(1)]);
    let read = ask(&FailOver::new(model.clone()), stopping()).await;
    assert_eq!((read.text, model.calls()), (model.text(), 3));
    assert_eq!(model.prefix(2).map(|prefix| prefix.text).as_deref(), Some("to E"));
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_text_was_held_back_is_made_again() {
    let model = Model::new(&["a ", "", "é ", "b"]).faults([cut(2), cut(2)]);
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!(read.text, "a é b");
    let ids = |call| model.prefix(call).map(|prefix| prefix.token_ids);
    assert_eq!((ids(1), ids(2)), (Some(vec![100]), Some(vec![100, 101, 102])));
    let usage = read.finish().usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (PROMPT, 4));
}

#[tokio::test(start_paused = true)]
async fn ids_that_the_caller_has_of_another_model_are_not_mixed_with_these() {
    let model = Model::new(WORDS).faults([cut(1)]);
    let mut asked = plain();
    asked.prefix = Some(Prefix::new("the ").token_ids(vec![100]).model("other"));
    ask(&FailOver::new(model.clone()), asked).await;
    assert_eq!(model.prefix(1), Some(Prefix::new("the quick ").model("other")));
}
