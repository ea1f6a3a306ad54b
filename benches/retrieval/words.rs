//! The index over words, on disk and in memory.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_orchestrator::rag::{Bm25Index, Index};
use prompt_orchestrator::retrieval::{Filter, Query, Retriever};

use crate::corpus::Corpus;
use crate::figures::{Figures, Goal, Peak, size_on_disk};

const DOCUMENTS: usize = 10_000;
const BATCH: usize = 200;
const QUESTIONS: usize = 1_000;
const SEED: u64 = 1;

pub(crate) fn run(figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    if figures.wants("words/disk") {
        runtime.block_on(on_disk(figures));
    }
    if figures.wants("words/memory") {
        runtime.block_on(in_memory(figures));
    }
}

/// 100,000 passages of 10,000 documents.
async fn on_disk(figures: &mut Figures) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut corpus = Corpus::new(SEED);
    let peak = Peak::start();
    let index = Bm25Index::open(folder.path()).await.expect("an index");
    let took = fill(&index, &mut corpus).await;
    figures.line("words/disk/index", took.as_secs_f64(), "s", Goal::AtMost(60.0));
    figures.line("words/disk/documents_per_second", DOCUMENTS as f64 / took.as_secs_f64(), "1/s", Goal::None);
    if let Some(grown) = peak.grown() {
        figures.line("words/disk/memory", grown, "MB", Goal::AtMost(500.0));
    }
    figures.line("words/disk/size", size_on_disk(folder.path()), "MB", Goal::None);

    update(figures, &index, &mut corpus).await;
    drop(index);
    let index = reopen(figures, folder.path()).await;

    let questions: Vec<String> = (0..QUESTIONS).map(|_| corpus.question()).collect();
    ask(&index, &questions, &Filter::Any).await;
    let times = ask(&index, &questions, &Filter::Any).await;
    figures.times("words/disk/query", times, Goal::AtMost(20.0));
    let times = ask(&index, &questions, &Filter::is("tenant", "tenant7")).await;
    figures.times("words/disk/filtered", times, Goal::AtMost(20.0));
}

/// Puts all documents in by batches, and commits; making them does not count.
async fn fill(index: &Bm25Index, corpus: &mut Corpus) -> Duration {
    let mut took = Duration::ZERO;
    for first in (0..DOCUMENTS).step_by(BATCH) {
        let documents = corpus.documents(first, BATCH);
        let start = Instant::now();
        index.put(documents).await.expect("put");
        took += start.elapsed();
    }
    let start = Instant::now();
    index.commit().await.expect("committed");
    assert_eq!(index.len(), 100_000);
    took + start.elapsed()
}

/// Replaces one document in a hundred.
async fn update(figures: &mut Figures, index: &Bm25Index, corpus: &mut Corpus) {
    let documents = corpus.documents(5_000, DOCUMENTS / 100);
    let start = Instant::now();
    index.put(documents).await.expect("put");
    index.commit().await.expect("committed");
    figures.line("words/disk/update_100", start.elapsed().as_secs_f64(), "s", Goal::None);
}

async fn reopen(figures: &mut Figures, folder: &Path) -> Bm25Index {
    let start = Instant::now();
    let index = Bm25Index::open(folder).await.expect("an index");
    figures.line("words/disk/open", start.elapsed().as_secs_f64(), "s", Goal::None);
    index
}

/// 5,000 passages, as a folder of documentation has them: a question is answered on the task that asks.
async fn in_memory(figures: &mut Figures) {
    let mut corpus = Corpus::new(SEED);
    let passages = corpus.documents(0, 500).into_iter().flat_map(|document| document.passages);
    let index = Bm25Index::from_passages(passages).expect("an index");
    let questions: Vec<String> = (0..QUESTIONS).map(|_| corpus.question()).collect();
    ask(&index, &questions, &Filter::Any).await;
    let times = ask(&index, &questions, &Filter::Any).await;
    figures.times("words/memory/query", times, Goal::None);
}

/// Asks all questions, half of them on each of two tasks.
async fn ask(index: &Bm25Index, questions: &[String], filter: &Filter) -> Vec<Duration> {
    let (one, other) = questions.split_at(questions.len() / 2);
    let tasks = [one, other].map(|questions| {
        let (index, questions, filter) = (index.clone(), Arc::<[String]>::from(questions), filter.clone());
        tokio::spawn(async move {
            let mut times = Vec::with_capacity(questions.len());
            for question in questions.iter() {
                let limit = NonZeroUsize::new(10).expect("not zero");
                let query = Query::new(question.as_str(), limit).filter(filter.clone());
                let start = Instant::now();
                let found = index.retrieve(&query).await.expect("a query never fails");
                times.push(start.elapsed());
                assert!(found.len() <= 10);
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("it does not panic"));
    }
    times
}
