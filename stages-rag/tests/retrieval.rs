//! What the retrieval stage does with its options, and when a search takes too long or fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::prelude::*;
use stages_rag::{
    AssembleStage, RagStage, Retrieval, SessionKey, SessionMemory, SessionStore, Turn, last_two_questions,
};
use tokio::time::Instant;

/// Finds what it is made with, after a while; keeps the queries, and counts the searches that are alive.
#[derive(Clone, Default)]
struct Slow {
    passages: Vec<Passage>,
    delay: Duration,
    queries: Arc<Mutex<Vec<Query>>>,
    alive: Arc<AtomicUsize>,
}

struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Retriever for Slow {
    type Error = WorkerError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, WorkerError> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let _alive = Alive(self.alive.clone());
        self.queries.lock().expect("not poisoned").push(query.clone());
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if self.passages.is_empty() && self.delay.is_zero() {
            return Err(WorkerError::new(WorkerErrorKind::Overloaded, "the index is busy"));
        }
        Ok(self.passages.clone())
    }
}

fn scored(scores: &[f32]) -> Slow {
    let passages = scores.iter().map(|score| Passage::new(score.to_string(), Source::new("a.md"), *score)).collect();
    Slow { passages, ..Slow::default() }
}

fn takes(delay: Duration) -> Slow {
    Slow { delay, ..scored(&[1.0]) }
}

fn cx() -> Context {
    Context::standalone(RequestOptions::new())
}

fn notes(cx: &Context) -> Vec<String> {
    cx.report().notes.into_iter().map(|note| note.text).collect()
}

const LIMIT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn a_search_that_takes_too_long_is_given_up_and_the_request_goes_on() {
    let slow = takes(Duration::from_secs(60));
    let pipeline = Pipeline::builder("assistant")
        .stage(RagStage::new(slow.clone()).time_limit(LIMIT))
        .stage(AssembleStage::default())
        .then("worker", |_cx, request: InferenceRequest| async move { Ok::<_, BoxError>(request) })
        .build()
        .expect("a pipeline");
    let started = Instant::now();
    let mut answer = pipeline.submit(PromptRequest::new("What?")).await.expect("admitted");
    let request = answer.output().await.expect("answered");
    assert_eq!(started.elapsed(), LIMIT);
    assert_eq!(slow.alive.load(Ordering::SeqCst), 0, "the search is dropped");

    assert!(request.passages.is_empty());
    assert!(answer.context().get::<Passages>().expect("kept").0.is_empty());
    assert!(matches!(answer.context().get::<Retrieval>().as_deref(), Some(Retrieval::TimedOut(LIMIT))));
    let report = answer.report();
    assert_eq!(report.notes.len(), 1);
    assert_eq!(report.notes[0].stage, "rag");
    assert_eq!(report.notes[0].text, "went on without passages: the search took longer than 200ms");
    // The model is not told that the documents hold nothing.
    assert!(request.messages[0].text().starts_with("The documents could not be consulted"));
}

#[tokio::test]
async fn a_careless_retriever_shows_nobody_what_is_not_theirs() {
    let of = |tenant: &str| Passage::new(tenant, Source::new("a.md"), 1.0).with_metadata("tenant", tenant);
    // It heeds neither the filter nor the limit.
    let passages = ["a", "b", "b", "a", "b", "b"].map(of).to_vec();
    let stage = RagStage::new(Slow { passages, ..Slow::default() })
        .top_k(3)
        .filter(|cx, _| Filter::is("tenant", cx.tenant().expect("every request has one")));
    for (tenant, expected) in [("a", 2), ("b", 3), ("c", 0)] {
        let cx = Context::standalone(RequestOptions::new().tenant(tenant));
        let grounded = stage.run(&cx, PromptRequest::new("What?")).await.expect("handed on");
        let texts: Vec<_> = grounded.passages.iter().map(|passage| passage.text.as_str()).collect();
        assert_eq!(texts, vec![tenant; expected]);
        assert_eq!(cx.get::<Passages>().expect("kept").0.len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_within_its_limit_is_waited_for() {
    let cx = cx();
    let stage = RagStage::new(takes(LIMIT - Duration::from_millis(1))).time_limit(LIMIT);
    let grounded = stage.run(&cx, PromptRequest::new("What?")).await.expect("handed on");
    assert_eq!(grounded.passages.len(), 1);
    assert!(matches!(cx.get::<Retrieval>().as_deref(), Some(Retrieval::Found(1))));
    assert!(notes(&cx).is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_search_may_take_its_time() {
    let grounded = RagStage::new(takes(Duration::from_secs(3600))).run(&cx(), PromptRequest::new("What?")).await;
    assert_eq!(grounded.expect("handed on").passages.len(), 1);
}

#[tokio::test]
async fn an_optional_search_that_fails_is_noted_and_the_request_goes_on() {
    let cx = cx();
    let broken = RagStage::new(Slow::default());
    assert!(broken.clone().run(&cx, PromptRequest::new("What?")).await.is_err());
    assert!(notes(&cx).is_empty());

    let grounded = broken.optional().run(&cx, PromptRequest::new("What?")).await.expect("handed on");
    assert!(grounded.passages.is_empty());
    assert_eq!(notes(&cx), ["went on without passages: the search failed: worker failed: the index is busy"]);
    match cx.get::<Retrieval>().as_deref() {
        Some(Retrieval::Failed(error)) => {
            let error = error.downcast_ref::<WorkerError>().expect("kept as it was");
            assert_eq!(error.kind(), WorkerErrorKind::Overloaded);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn passages_below_the_least_score_are_left_out() {
    let cx = cx();
    let stage = RagStage::new(scored(&[3.0, 2.0, 1.9, f32::NAN, -1.0])).min_score(2.0);
    let grounded = stage.run(&cx, PromptRequest::new("What?")).await.expect("handed on");
    let scores: Vec<f32> = grounded.passages.iter().map(|p| p.score).collect();
    assert_eq!(scores, [3.0, 2.0]);
    assert!(matches!(cx.get::<Retrieval>().as_deref(), Some(Retrieval::Found(2))));

    let nothing = RagStage::new(scored(&[1.0])).min_score(2.0);
    assert!(nothing.run(&cx, PromptRequest::new("What?")).await.expect("handed on").passages.is_empty());
    assert!(matches!(cx.get::<Retrieval>().as_deref(), Some(Retrieval::NothingFound)));
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named_when_the_pipeline_is_built() {
    let stage = || RagStage::new(scored(&[]));
    let wrong = [
        (stage().min_score(f32::NAN), "`min_score` must be a finite number"),
        (stage().min_score(f32::INFINITY), "`min_score` must be a finite number"),
        (stage().time_limit(Duration::ZERO), "`time_limit` must be above zero"),
    ];
    for (stage, fault) in wrong {
        assert!(stage.run(&cx(), PromptRequest::new("What?")).await.is_err());
        let error = Pipeline::builder("wrong").stage(stage).build().expect_err("a fault");
        assert_eq!(error.to_string(), format!("pipeline `wrong` cannot be built: stage `rag`: {fault}"));
    }
}

fn texts(slow: &Slow) -> Vec<String> {
    slow.queries.lock().expect("not poisoned").iter().map(|query| query.text.clone()).collect()
}

#[tokio::test]
async fn the_query_may_be_made_of_more_than_the_last_message() {
    let slow = scored(&[1.0]);
    let stage = RagStage::new(slow.clone()).query(last_two_questions);
    let chat = PromptRequest::from_messages([Message::user("One?"), Message::assistant("Yes."), Message::user("Two?")]);
    stage.run(&cx(), chat).await.expect("handed on");
    stage.run(&cx(), PromptRequest::new("Three?")).await.expect("handed on");
    assert_eq!(texts(&slow), ["One?\nTwo?", "Three?"]);

    let cx = cx();
    let silent = RagStage::new(slow.clone()).query(|_| " ".to_owned());
    silent.run(&cx, PromptRequest::new("Four?")).await.expect("handed on");
    assert_eq!(texts(&slow).len(), 2, "nothing to search for");
    assert!(matches!(cx.get::<Retrieval>().as_deref(), Some(Retrieval::NotAsked)));
}

#[tokio::test]
async fn the_query_sees_the_turns_of_the_sessions_memory() {
    let memory = SessionMemory::default();
    let turn = Turn::new([Message::user("May I return goods?"), Message::assistant("Yes.")]);
    memory.append(&SessionKey::new(None, "anna"), turn).await.expect("kept");
    let slow = scored(&[1.0]);
    let stage = RagStage::new(slow.clone())
        .query(|prompt| format!("{} {:?}", last_two_questions(prompt), prompt.all_metadata().get("page")))
        .memory(memory);
    let cx = Context::standalone(RequestOptions::new().session("anna"));
    let grounded = stage.run(&cx, PromptRequest::new("How long?").metadata("page", "faq")).await.expect("handed on");
    assert_eq!(texts(&slow), ["May I return goods?\nHow long? Some(\"faq\")"]);
    assert_eq!(grounded.prompt.messages().len(), 1, "the prompt itself is left alone");

    stage.run(&self::cx(), PromptRequest::new("How long?")).await.expect("handed on");
    assert_eq!(texts(&slow)[1], "How long? None", "without a session there is nothing to remember");
}

#[tokio::test]
async fn a_filter_is_made_for_each_request() {
    let slow = scored(&[1.0]);
    let stage = RagStage::new(slow.clone()).filter(|cx, prompt| {
        let language = prompt.all_metadata().get("language").cloned().unwrap_or_default();
        Filter::is("tenant", cx.tenant().unwrap_or("public")).and(Filter::is("language", language))
    });
    let acme = Context::standalone(RequestOptions::new().tenant("acme"));
    stage.run(&acme, PromptRequest::new("What?").metadata("language", "de")).await.expect("handed on");
    stage.run(&cx(), PromptRequest::new("What?")).await.expect("handed on");
    let filters: Vec<Filter> = slow.queries.lock().expect("not poisoned").iter().map(|q| q.filter.clone()).collect();
    assert_eq!(filters[0], Filter::is("tenant", "acme").and(Filter::is("language", "de")));
    assert_eq!(filters[1], Filter::is("tenant", "public").and(Filter::is("language", "")));
}
