//! What `stats()` says where no metrics recorder is installed, which is one per process: see `metrics.rs` for the other
//! case.

use std::time::Duration;

use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

#[tokio::test]
async fn a_pipeline_counts_without_a_recorder() {
    let worker = MockWorker::with(|request| match &*request.question() {
        "fail" => Script::new().fail(WorkerError::new(WorkerErrorKind::Overloaded, "503")),
        _ => Script::answering("to be or not"),
    });
    let pipeline = Pipeline::builder("counted")
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    for _ in 0..3 {
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        assert_eq!(answer.text().await.expect("answered"), "to be or not");
    }
    let mut answer = pipeline.submit(PromptRequest::new("fail")).await.expect("let in");
    assert!(answer.text().await.is_err());
    assert!(pipeline.submit(PromptRequest::new("late").within(Duration::ZERO)).await.is_err());
    assert!(pipeline.submit(PromptRequest::new("")).await.is_err());

    let stats = pipeline.stats();
    assert_eq!((stats.submitted, stats.refused, stats.accepted, stats.in_flight), (6, 2, 4, 0));
    assert_eq!((stats.answered, stats.failed, stats.shed, stats.cancelled), (3, 1, 0, 0));
    let refused = |reason| stats.refused_by_reason.iter().find(|(r, _)| *r == reason).expect("listed").1;
    assert_eq!(refused(RefuseReason::Invalid), 1);
    assert_eq!(refused(RefuseReason::Deadline), 1);
    assert_eq!((stats.usage.prompt_tokens, stats.usage.completion_tokens), (3, 12));
    // Four words each: one first token and three gaps; the terminal event is no token.
    assert_eq!((stats.first_token.count, stats.between_tokens.count, stats.total.count), (3, 9, 3));
    let names: Vec<_> = stats.stages.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["infer", "stream"]);
    assert_eq!((stats.stages[0].wait.count, stats.stages[0].run.count, stats.stages[1].run.count), (4, 4, 3));
    assert!(stats.stages[0].shed_by_reason.iter().all(|(_, n)| *n == 0));
    assert_eq!(stats.stages[0].shed_by_reason.len(), ShedReason::ALL.len());
}

#[tokio::test]
async fn a_pipeline_that_was_never_submitted_to_counts_nothing() {
    let pipeline = Pipeline::builder("idle")
        .then("echo", |_cx, text: String| async move { Ok::<_, BoxError>(text) })
        .build()
        .expect("builds");
    let stats = pipeline.stats();
    assert_eq!((stats.submitted, stats.accepted, stats.in_flight, stats.total.count), (0, 0, 0, 0));
}
