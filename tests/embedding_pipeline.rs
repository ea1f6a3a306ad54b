//! The batching stage of the example `embedding_pipeline`: few calls, everybody's own vectors, and no member of a batch
//! disturbed by what becomes of another.

mod common;

#[path = "../examples/embedding_pipeline/batch.rs"]
mod batch;

#[path = "../examples/embedding_pipeline/embedder.rs"]
mod embedder;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batch::{BatchStage, Texts, Vectors};
use common::{Gate, Stopwatch, assert_balanced, count, settle, soon, until};
use embedder::Trigrams;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;

const WINDOW: Duration = Duration::from_millis(20);

/// Embeds a text, which is a number, as that number; waits at a gate, and fails as a text of the batch says.
struct Numbers {
    gate: Gate,
    /// The texts of each call.
    calls: Mutex<Vec<Vec<String>>>,
    finished: AtomicUsize,
}

impl Numbers {
    fn new(gate: Gate) -> Arc<Self> {
        Arc::new(Self { gate, calls: Mutex::default(), finished: AtomicUsize::new(0) })
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl Embedder for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.calls.lock().expect("not poisoned").push(texts.iter().map(ToString::to_string).collect());
        self.gate.pass().await;
        self.finished.fetch_add(1, Ordering::SeqCst);
        assert!(!texts.contains(&"panic"), "expected");
        if texts.contains(&"fail") {
            return Err(WorkerError::new(WorkerErrorKind::RateLimited, "429").with_retry_after(WINDOW));
        }
        let vector = |text: &&str| text.parse().ok().map(|number| vec![number]);
        Ok(texts.iter().filter_map(vector).collect())
    }
}

fn open() -> Gate {
    let gate = Gate::shut();
    gate.open();
    gate
}

/// A pipeline whose calls hold four texts.
fn pipeline(embedder: &Arc<Numbers>) -> Pipeline<Texts, Vectors> {
    placed(embedder, StageConfig::new())
}

fn placed(embedder: &Arc<Numbers>, config: StageConfig) -> Pipeline<Texts, Vectors> {
    let stage = BatchStage::new(embedder.clone(), count(4), WINDOW);
    Pipeline::builder("embedding").stage_with(stage, config).build().expect("builds")
}

fn texts(texts: &[&str]) -> Texts {
    Texts(texts.iter().map(ToString::to_string).collect())
}

async fn submit(pipeline: &Pipeline<Texts, Vectors>, of: &[&str]) -> Answer<Vectors> {
    let answer = pipeline.submit(texts(of)).await.expect("let in");
    settle().await;
    answer
}

async fn vectors(mut answer: Answer<Vectors>) -> Vectors {
    soon(answer.output()).await.expect("embedded")
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_full_is_embedded_at_once_and_everybody_gets_its_own() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    let clock = Stopwatch::start();
    let first = submit(&pipeline, &["1"]).await;
    let second = submit(&pipeline, &["2", "3"]).await;
    assert!(embedder.calls().is_empty(), "there is room for one more");
    let third = submit(&pipeline, &["4"]).await;
    assert_eq!(vectors(third).await, [[4.0]]);
    assert_eq!(vectors(first).await, [[1.0]]);
    assert_eq!(vectors(second).await, [[2.0], [3.0]]);
    clock.assert_still();
    assert_eq!(embedder.calls(), [["1", "2", "3", "4"]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_fill_waits_for_its_first_member_only() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    let clock = Stopwatch::start();
    let first = submit(&pipeline, &["1"]).await;
    tokio::time::advance(WINDOW / 2).await;
    let second = submit(&pipeline, &["2"]).await;
    assert_eq!(vectors(first).await, [[1.0]]);
    assert_eq!(vectors(second).await, [[2.0]]);
    clock.assert_at(WINDOW);
    assert_eq!(embedder.calls(), [["1", "2"]]);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_never_divided() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    let clock = Stopwatch::start();
    let small = submit(&pipeline, &["1", "2"]).await;
    let does_not_fit = submit(&pipeline, &["3", "4", "5"]).await;
    assert_eq!(vectors(small).await, [[1.0], [2.0]]);
    let too_large = submit(&pipeline, &["6", "7", "8", "9", "10", "11"]).await;
    assert_eq!(vectors(does_not_fit).await, [[3.0], [4.0], [5.0]]);
    assert_eq!(vectors(too_large).await.len(), 6);
    clock.assert_still();
    // The largest is driven by its only member, at once.
    let sizes: BTreeSet<_> = embedder.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, BTreeSet::from([2, 3, 6]));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_while_a_batch_gathers_is_left_out() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    let clock = Stopwatch::start();
    // The first one drives the batch until then.
    let first = submit(&pipeline, &["1"]).await;
    let second = submit(&pipeline, &["2"]).await;
    drop(first);
    settle().await;
    let third = submit(&pipeline, &["3", "4", "5"]).await;
    assert_eq!(vectors(second).await, [[2.0]]);
    assert_eq!(vectors(third).await, [[3.0], [4.0], [5.0]]);
    clock.assert_still();
    assert_eq!(embedder.calls(), [["2", "3", "4", "5"]]);
    assert_balanced(&pipeline.stats());
}

#[tokio::test(start_paused = true)]
async fn the_window_ends_though_the_one_who_opened_it_has_left() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    let clock = Stopwatch::start();
    let first = submit(&pipeline, &["1"]).await;
    let second = submit(&pipeline, &["2"]).await;
    drop(first);
    assert_eq!(vectors(second).await, [[2.0]]);
    clock.assert_at(WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_all_have_left_keeps_nobody_waiting() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    drop(submit(&pipeline, &["1", "2", "3"]).await);
    settle().await;
    tokio::time::advance(WINDOW * 3 / 4).await;
    let clock = Stopwatch::start();
    assert_eq!(vectors(submit(&pipeline, &["4"]).await).await, [[4.0]]);
    clock.assert_at(WINDOW);
    assert_eq!(embedder.calls(), [["4"]]);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_during_the_call_disturbs_nobody() {
    for leaver in 0..4 {
        let embedder = Numbers::new(Gate::shut());
        let pipeline = pipeline(&embedder);
        let mut answers = Vec::new();
        for number in ["0", "1", "2", "3"] {
            answers.push(submit(&pipeline, &[number]).await);
        }
        until("the call is under way", || embedder.gate.inside() == 1).await;
        drop(answers.remove(leaver));
        settle().await;
        embedder.gate.open();
        for answer in answers {
            assert_eq!(vectors(answer).await.len(), 1);
        }
        assert_eq!((embedder.calls().len(), embedder.gate.dropped()), (1, 0), "it is not made again");
        let stats = pipeline.stats();
        assert_eq!((stats.answered, stats.cancelled), (3, 1));
        assert_balanced(&stats);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_any_more_is_dropped() {
    let embedder = Numbers::new(Gate::shut());
    let pipeline = pipeline(&embedder);
    let answers = [submit(&pipeline, &["1"]).await, submit(&pipeline, &["2", "3", "4"]).await];
    until("the call is under way", || embedder.gate.inside() == 1).await;
    drop(answers);
    until("it is dropped", || embedder.gate.dropped() == 1).await;
    assert_balanced(&pipeline.stats());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_one_member_and_not_the_batch() {
    let embedder = Numbers::new(Gate::shut());
    let pipeline = pipeline(&embedder);
    let hurried = pipeline.submit_with(texts(&["1"]), RequestOptions::new().within(WINDOW * 2)).await;
    let patient = submit(&pipeline, &["2"]).await;
    let error = soon(hurried.expect("let in").output()).await.expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    embedder.gate.open();
    assert_eq!(vectors(patient).await, [[2.0]]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_told_to_each_and_the_stage_lives_on() {
    let embedder = Numbers::new(open());
    let pipeline = pipeline(&embedder);
    // One number too few comes back for what is none.
    let cases = [
        ("fail", ErrorKind::Worker(WorkerErrorKind::RateLimited)),
        ("panic", ErrorKind::Panicked),
        ("none", ErrorKind::Worker(WorkerErrorKind::Protocol)),
    ];
    for (text, kind) in cases {
        let answers =
            [submit(&pipeline, &["1"]).await, submit(&pipeline, &[text]).await, submit(&pipeline, &["2"]).await];
        for mut answer in answers {
            let error = soon(answer.output()).await.expect_err(text);
            assert_eq!((error.kind(), error.stage()), (kind, Some("embed")));
            if text == "fail" {
                assert_eq!(error.retry_after(), Some(WINDOW));
            }
            if text == "panic" {
                assert!(error.to_string().contains("expected"), "{error}");
            }
        }
    }
    assert_eq!(vectors(submit(&pipeline, &["7"]).await).await, [[7.0]]);
    let stats = pipeline.stats();
    assert_eq!((stats.answered, stats.failed, stats.panics), (1, 9, 3));
    assert_eq!(embedder.calls().len(), 4);
    assert_balanced(&stats);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_texts_is_refused() {
    let pipeline = pipeline(&Numbers::new(open()));
    let error = pipeline.submit(texts(&[])).await.expect_err("nothing to do");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Refused(RefuseReason::Invalid), Some("texts")));
}

#[tokio::test]
async fn vectors_do_not_depend_on_who_else_is_in_the_call_and_like_texts_are_close() -> common::TestResult {
    let texts = ["A full queue sheds.", "Queues that are full shed.", "Tea is brewed in a pot."];
    let embedder = Trigrams::default();
    let together = embedder.embed(&texts).await?;
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&embedder.embed_query(text).await?, vector);
    }
    assert_eq!(embedder.counts(), (4, 6));
    let cosine = |a: usize, b: usize| together[a].iter().zip(&together[b]).map(|(a, b)| a * b).sum::<f32>();
    assert!((cosine(0, 0) - 1.0).abs() < 1e-5);
    assert!(cosine(0, 1) > cosine(0, 2) + 0.2 && cosine(0, 1) > cosine(1, 2) + 0.2);
    Ok(())
}

/// Whatever happens to whom, everybody is told once, and who is answered has its own vectors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_conserved() {
    let placements = common::placements().map(|(_, config)| config.concurrency(16));
    for (seed, config) in (1..).zip(placements) {
        let embedder = Numbers::new(open());
        let pipeline = placed(&embedder, config);
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..32_u64 {
            callers.spawn(caller_of_all_sorts(pipeline.clone(), fastrand::Rng::with_seed(seed << 8 | caller)));
        }
        let answered: u64 = soon(callers.join_all()).await.iter().sum();
        assert_eq!(pipeline.drain(Duration::from_secs(60)).await.cancelled, 0);
        let stats = pipeline.stats();
        assert_balanced(&stats);
        assert_eq!(stats.submitted, 32 * 100);
        assert!(stats.answered >= answered, "{stats:#?}");
        assert!(stats.failed > 0 && stats.cancelled > 0 && stats.panics > 0, "all sorts: {stats:#?}");
        let calls = embedder.calls();
        assert!(calls.iter().all(|call| call.len() <= 4) && calls.len() < 32 * 100, "they came together");
    }
}

/// Makes a hundred requests and leaves some; returns how many were answered.
async fn caller_of_all_sorts(pipeline: Pipeline<Texts, Vectors>, mut rng: fastrand::Rng) -> u64 {
    let mut answered = 0;
    for _ in 0..100 {
        let mut of: Vec<_> = (0..rng.usize(1..=3)).map(|_| rng.u32(..1_000).to_string()).collect();
        let expected: Vectors = of.iter().map(|text| vec![text.parse().expect("a number")]).collect();
        match rng.u8(..40) {
            0 => of[0] = "fail".to_owned(),
            1 => of[0] = "panic".to_owned(),
            _ => {}
        }
        let mut answer = pipeline.submit(Texts(of)).await.expect("let in");
        if rng.u8(..4) == 0 {
            for _ in 0..rng.u8(..20) {
                tokio::task::yield_now().await;
            }
            continue;
        }
        match answer.output().await {
            Ok(vectors) => {
                assert_eq!(vectors, expected);
                answered += 1;
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Worker(WorkerErrorKind::RateLimited) | ErrorKind::Panicked),
                    "{error}"
                );
            }
        }
    }
    answered
}
