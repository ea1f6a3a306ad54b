//! Embedders that fail, or give what they must not.

use std::sync::Arc;

use orchestrator_core::prelude::*;
use stages_rag::{Index, IndexErrorKind, RagStage, VectorIndex};

use crate::common::*;

/// Does to a text what the text says.
#[derive(Debug)]
struct Hostile;

#[async_trait]
impl Embedder for Hostile {
    fn name(&self) -> &str {
        "hostile"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        if texts.contains(&"fail") {
            return Err(WorkerError::new(WorkerErrorKind::RateLimited, "429"));
        }
        let vector = |text: &str| match text {
            "nan" => vec![1.0, f32::NAN],
            "infinite" => vec![f32::INFINITY, 0.0],
            "zero" => vec![0.0, -0.0],
            "empty" => vec![],
            "long" => vec![1.0, 2.0, 3.0],
            "huge" => vec![f32::MAX, f32::MAX],
            "tiny" => vec![f32::from_bits(1), 0.0],
            _ => vec![1.0, 1.0],
        };
        let mut vectors: Vec<_> = texts.iter().map(|text| vector(text)).collect();
        if texts.contains(&"fewer") {
            vectors.pop();
        }
        if texts.contains(&"more") {
            vectors.push(vec![1.0, 1.0]);
        }
        Ok(vectors)
    }
}

#[tokio::test]
async fn vectors_that_cannot_be_used_are_refused_whole_and_poison_nothing() {
    let index = VectorIndex::in_memory(Arc::new(Hostile));
    put(&index, "good", &["good"]).await;
    let bad = [
        ("nan", IndexErrorKind::Embedder),
        ("infinite", IndexErrorKind::Embedder),
        ("zero", IndexErrorKind::Embedder),
        ("empty", IndexErrorKind::Embedder),
        ("fewer", IndexErrorKind::Embedder),
        ("more", IndexErrorKind::Embedder),
        ("fail", IndexErrorKind::Embedder),
        ("long", IndexErrorKind::Incompatible),
    ];
    for (text, expected) in bad {
        let documents = vec![document("fine", 1, &["fine"]), document("bad", 1, &["fine", text])];
        assert_eq!(kind(index.put(documents).await), expected, "{text}");
        assert_eq!(names(&index).await, ["good"], "{text}");
    }
    index.commit().await.expect("committed");
    for (text, expected) in bad.into_iter().filter(|(text, _)| *text != "more") {
        let expected = if text == "long" { IndexErrorKind::Incompatible } else { expected };
        assert_eq!(kind(index.retrieve(&query(text, 3)).await), expected, "{text}");
    }
    assert_eq!(texts(&index, "good").await, ["good"]);
}

#[tokio::test]
async fn lengths_that_differ_in_one_reply_are_incompatible() {
    let index = VectorIndex::in_memory(Arc::new(Hostile));
    let documents = vec![document("a", 1, &["good", "long"])];
    assert_eq!(kind(index.put(documents).await), IndexErrorKind::Incompatible);
    index.put(vec![document("a", 1, &["long"])]).await.expect("the first length counts");
    assert_eq!(kind(index.put(vec![document("b", 1, &["good"])]).await), IndexErrorKind::Incompatible);
}

#[tokio::test]
async fn very_long_and_very_short_vectors_have_a_direction() {
    let index = VectorIndex::in_memory(Arc::new(Hostile));
    put(&index, "a", &["huge", "tiny"]).await;
    index.commit().await.expect("committed");
    let found = find(&index, "good", 2).await;
    assert_eq!(found[0].text, "huge");
    assert!((found[0].score - 1.0).abs() < 1e-6 && (found[1].score - 0.5_f32.sqrt()).abs() < 1e-6, "{found:?}");
}

#[tokio::test]
async fn the_worker_error_of_an_embedder_is_kept() {
    let index = VectorIndex::in_memory(Arc::new(Hostile));
    put(&index, "good", &["good"]).await;
    index.commit().await.expect("committed");
    let error = index.retrieve(&query("fail", 1)).await.expect_err("failed");
    assert_eq!(error.worker_error().expect("a worker's").kind(), WorkerErrorKind::RateLimited);

    let pipeline = Pipeline::builder("assistant").stage(RagStage::new(index)).build().expect("a pipeline");
    let mut answer = pipeline.submit(PromptRequest::new("fail")).await.expect("admitted");
    let error = answer.output().await.map(drop).expect_err("failed");
    assert_eq!(error.kind(), ErrorKind::Worker(WorkerErrorKind::RateLimited));
}

/// Counts what it is asked for.
#[derive(Debug, Default)]
struct Counting(std::sync::Mutex<Vec<usize>>);

#[async_trait]
impl Embedder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.0.lock().expect("not poisoned").push(texts.len());
        Ok(vec![vec![1.0]; texts.len()])
    }
}

#[tokio::test]
async fn texts_are_embedded_in_batches_and_nothing_is_asked_of_an_empty_index() {
    let embedder = Arc::new(Counting::default());
    let index = VectorIndex::in_memory(embedder.clone());
    assert!(texts(&index, "question").await.is_empty());
    let many = vec!["text"; 100];
    index.put(vec![document("a", 1, &many), document("b", 1, &many[..50])]).await.expect("put");
    assert_eq!(*embedder.0.lock().expect("not poisoned"), [64, 64, 22]);
}

/// Changes its name when it is told to.
#[derive(Debug, Default)]
struct Renamed(std::sync::atomic::AtomicBool);

#[async_trait]
impl Embedder for Renamed {
    fn name(&self) -> &str {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) { "other" } else { "spelled" }
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        Spelled { name: "inside" }.embed(texts).await
    }
}

#[tokio::test]
async fn an_embedder_of_another_name_than_at_first_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let embedder = Arc::new(Renamed::default());
    let index = VectorIndex::open(folder.path(), embedder.clone()).await.expect("opened");
    put(&index, "a", &["1 0"]).await;
    embedder.0.store(true, std::sync::atomic::Ordering::Relaxed);
    // What was put before is of the name before.
    index.commit().await.expect("committed");
    assert_eq!(kind(index.put(vec![document("b", 1, &["0 1"])]).await), IndexErrorKind::Incompatible);
    assert_eq!(kind(index.retrieve(&query("1 0", 1)).await), IndexErrorKind::Incompatible);
    drop(index);
    assert_eq!(texts(&open(folder.path()).await, "1 0").await, ["1 0"]);
}
