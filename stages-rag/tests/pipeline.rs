//! Retrieval and assembly inside a pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orchestrator_core::error::InvalidInput;
use orchestrator_core::prelude::*;
use stages_rag::{AssembleStage, Bm25Index, GroundedPrompt, RagStage};

fn index() -> Bm25Index {
    let texts = [
        ("queue.md", "A full queue sheds its oldest request."),
        ("pool.md", "A pool sheds nothing."),
        ("core.md", "Sessions live on their home core."),
    ];
    Bm25Index::from_passages(texts.map(|(id, text)| Passage::new(text, Source::new(id).lines(1, 1), 0.0)))
        .expect("an index")
}

async fn keep(_cx: Context, request: InferenceRequest) -> Result<InferenceRequest, BoxError> {
    Ok(request)
}

#[tokio::test]
async fn a_question_reaches_the_worker_with_its_passages() {
    let pipeline = Pipeline::builder("assistant")
        .stage(RagStage::new(index()).top_k(2))
        .stage(AssembleStage::default())
        .then("worker", keep)
        .build()
        .expect("a pipeline");
    let prompt = PromptRequest::new("What does a full queue shed?").model("m").temperature(0.5).session("s");
    let mut answer = pipeline.submit(prompt).await.expect("admitted");
    let request = answer.output().await.expect("answered");

    let documents: Vec<_> = request.passages.iter().map(|p| p.source.document.as_str()).collect();
    assert_eq!(documents, ["queue.md", "pool.md"]);
    assert_eq!(request.messages.len(), 2);
    assert_eq!(request.messages[0].role(), Role::System);
    let numbered = "\n\nPassages:\n\n[1] queue.md:1-1\nA full queue sheds its oldest request.\
        \n\n[2] pool.md:1-1\nA pool sheds nothing.";
    assert!(request.messages[0].text().ends_with(numbered), "{}", request.messages[0].text());
    assert_eq!(request.question(), "What does a full queue shed?");
    assert_eq!(request.model.as_deref(), Some("m"));
    assert_eq!(request.sampling.temperature, Some(0.5));
    assert_eq!(request.context.session(), Some("s"));

    let shown = answer.context().get::<Passages>().expect("kept for the caller");
    assert_eq!(shown.0, request.passages);
    assert_eq!(stages(&answer.report().to_string()), ["rag", "assemble", "worker"]);
}

/// Which of the stages a report names.
fn stages(report: &str) -> Vec<&'static str> {
    ["rag", "assemble", "worker"].into_iter().filter(|name| report.contains(name)).collect()
}

#[tokio::test]
async fn the_same_assembly_stands_behind_a_bare_prompt() {
    let pipeline = Pipeline::<PromptRequest, _>::builder("plain")
        .stage(AssembleStage::default())
        .then("worker", keep)
        .build()
        .expect("a pipeline");
    let mut answer = pipeline.submit(PromptRequest::new("Hello?")).await.expect("admitted");
    let request = answer.output().await.expect("answered");
    assert!(request.passages.is_empty());
    assert_eq!(request.messages.len(), 2);
    assert!(answer.context().get::<Passages>().is_none());
}

#[tokio::test]
async fn a_stage_in_between_may_choose_among_the_passages() {
    let pipeline = Pipeline::builder("choosy")
        .stage(RagStage::new(index()))
        .then("choose", |_cx, found: GroundedPrompt| async move {
            Ok::<_, BoxError>(GroundedPrompt::new(found.prompt, &found.passages[1..]))
        })
        .stage(AssembleStage::default())
        .then("worker", keep)
        .build()
        .expect("a pipeline");
    let mut answer = pipeline.submit(PromptRequest::new("full queue sheds")).await.expect("admitted");
    let request = answer.output().await.expect("answered");
    assert!(request.messages[0].text().contains("[1] pool.md:1-1"));
    let shown = answer.context().get::<Passages>().expect("kept for the caller");
    assert_eq!(shown.0[0].source.document, "pool.md");
    assert_eq!(shown.0.len(), 1);
}

#[tokio::test]
async fn a_question_that_nothing_fits_is_handed_on_without_passages() {
    let pipeline = Pipeline::builder("assistant")
        .stage(RagStage::new(index()).top_k(4))
        .stage(AssembleStage::default())
        .then("worker", keep)
        .build()
        .expect("a pipeline");
    for question in ["unheard of", "?!"] {
        let mut answer = pipeline.submit(PromptRequest::new(question)).await.expect("admitted");
        let request = answer.output().await.expect("answered");
        assert!(request.passages.is_empty());
        assert_eq!(request.question(), question);
        assert!(!request.messages[0].text().contains("Passages:"));
        assert!(answer.context().get::<Passages>().expect("kept for the caller").0.is_empty());
    }
}

#[tokio::test]
async fn a_top_k_of_zero_is_an_error_that_names_it() {
    let stage = RagStage::new(index()).top_k(0);
    let cx = Context::standalone(RequestOptions::new());
    let error = stage.run(&cx, PromptRequest::new("queue")).await.expect_err("zero");
    assert_eq!(error.downcast_ref::<InvalidInput>().map(InvalidInput::field), Some("top_k"));

    let error = Pipeline::builder("zero").stage(stage).build().expect_err("zero");
    assert_eq!(error.to_string(), "pipeline `zero` cannot be built: stage `rag`: `top_k` must be at least 1");
}

/// Counts its calls, remembers the limit, and fails.
#[derive(Clone, Default)]
struct Broken {
    calls: Arc<AtomicUsize>,
    limit: Arc<AtomicUsize>,
}

impl Retriever for Broken {
    type Error = WorkerError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, WorkerError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.limit.store(query.limit.get(), Ordering::Relaxed);
        Err(WorkerError::new(WorkerErrorKind::Overloaded, "busy"))
    }
}

#[tokio::test]
async fn a_retrievers_error_keeps_its_kind() {
    let pipeline = Pipeline::builder("broken").stage(RagStage::new(Broken::default())).build().expect("a pipeline");
    let mut answer = pipeline.submit(PromptRequest::new("queue")).await.expect("admitted");
    let error = answer.output().await.expect_err("broken");
    assert_eq!(error.kind(), ErrorKind::Worker(WorkerErrorKind::Overloaded));
}

#[tokio::test]
async fn the_retriever_is_asked_for_four_passages_unless_told_otherwise() {
    let cx = Context::standalone(RequestOptions::new());
    let broken = Broken::default();
    for (stage, limit) in [(RagStage::new(broken.clone()), 4), (RagStage::new(broken.clone()).top_k(9), 9)] {
        assert!(stage.run(&cx, PromptRequest::new("queue")).await.is_err());
        assert_eq!(broken.limit.load(Ordering::Relaxed), limit);
    }
}

#[tokio::test]
async fn retrieval_keeps_the_passages_with_the_request() {
    let cx = Context::standalone(RequestOptions::new());
    let grounded = RagStage::new(index()).run(&cx, PromptRequest::new("pool")).await.expect("found");
    assert_eq!(grounded.passages.len(), 1);
    assert_eq!(cx.get::<Passages>().expect("kept").0, grounded.passages);
}

#[test]
fn retrieval_asks_for_a_task_per_request() {
    let defaults = RagStage::new(index()).defaults();
    assert_eq!(format!("{defaults:?}"), format!("{:?}", StageConfig::new().spawned()));
}

#[tokio::test]
async fn without_a_question_the_retriever_is_left_alone() {
    let broken = Broken::default();
    let cx = Context::standalone(RequestOptions::new());
    for prompt in [PromptRequest::new(" \n"), PromptRequest::from_messages([Message::system("Say hello.")])] {
        let grounded = RagStage::new(broken.clone()).run(&cx, prompt).await.expect("handed on");
        assert!(grounded.passages.is_empty());
    }
    assert_eq!(broken.calls.load(Ordering::Relaxed), 0);
}
