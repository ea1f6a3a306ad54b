//! What cannot be used is said when the pipeline is built, by name.

use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use stages_post::{PostStage, ReasoningTags, Redaction};

fn fault(post: PostStage) -> String {
    let built = Pipeline::<PromptRequest, _>::builder("assistant")
        .stage(InferenceStage::new(MockWorker::new(Script::answering("a"))))
        .stage(post)
        .build();
    built.expect_err("a fault").to_string()
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let post = PostStage::new;
    for (stage, expected) in [
        (post().stop_sequences([] as [&str; 0]), "`stop_sequences` needs sequences"),
        (post().stop_sequences(["a", ""]), "`stop_sequences` needs sequences"),
        (post().max_bytes(0), "`max_bytes` must be above zero"),
        (post().check_limit(0), "`check_limit` must be above zero"),
        (post().redact(Redaction::new()), "`redact` needs something to look for"),
        (post().redact(Redaction::new().pattern("x", "a+")), "`redact` pattern `x` has no maximum length"),
        (post().redact(Redaction::new().pattern("x", "a?")), "`redact` pattern `x` must not match the empty text"),
        (post().redact(Redaction::new().pattern("x", r"\ba")), r"`redact` pattern `x` uses a Unicode word boundary"),
        (post().split_reasoning_with(ReasoningTags::new("", "b")), "`split_reasoning` needs tags"),
    ] {
        let fault = fault(stage);
        assert!(fault.contains("stage `post`: ") && fault.contains(expected), "{fault}");
    }
}

#[test]
fn all_faults_of_a_stage_are_told() {
    let fault = fault(PostStage::new().max_bytes(0).redact(Redaction::new()));
    let expected = "`max_bytes` must be above zero; `redact` needs something to look for";
    assert!(fault.contains(expected), "{fault}");
}

#[tokio::test]
async fn a_stage_with_a_fault_lets_nothing_through_by_hand_either() {
    let cx = Context::standalone(RequestOptions::new());
    let stream = TokenStream::from_stream(futures_util::stream::empty());
    let error = PostStage::new().redact(Redaction::new()).run(&cx, stream).await.expect_err("it is not usable");
    assert!(error.to_string().contains("`redact`"));
}
