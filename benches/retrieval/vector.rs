//! The index over vectors: recall against brute force, the time of a search, and what an index takes.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::rag::{Document, Fingerprint, Index};

use crate::figures::{Figures, Goal, Peak, size_on_disk};

/// Of the vectors: many models give more, but random vectors of more are hardly nearer to one than to another.
const DIMENSIONS: usize = 64;

/// Vectors in the measurements of recall.
const RECALLED: usize = 50_000;

/// Vectors in the measurement of time.
const SEARCHED: usize = 100_000;

const QUESTIONS: usize = 1_000;

/// How many of the nearest have to be found.
const NEAREST: usize = 10;

/// Centres of the clustered vectors.
const CLUSTERS: usize = 500;

/// Texts are numbers of vectors in a table, so that the index is measured and not an embedder.
#[derive(Debug)]
struct Table(Vec<Vec<f32>>);

#[async_trait]
impl Embedder for Table {
    fn name(&self) -> &str {
        "table"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        Ok(texts.iter().map(|text| self.0[number(text)].clone()).collect())
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// Prints the figures of the index over vectors.
pub(crate) fn run(figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let random = |count: usize| random(count, &mut fastrand::Rng::with_seed(1));
    if figures.wants("vector/recall") {
        let clustered = clustered(RECALLED + QUESTIONS, &mut fastrand::Rng::with_seed(2));
        for (kind, vectors) in [("random", random(RECALLED + QUESTIONS)), ("clustered", clustered)] {
            let recall = runtime.block_on(recall(vectors));
            figures.line(&format!("vector/recall/{kind}"), recall, "", Goal::AtLeast(0.95));
        }
    }
    if figures.wants("vector/disk") {
        runtime.block_on(on_disk(figures, random(SEARCHED + QUESTIONS)));
    }
}

/// The share of the nearest that an index in memory finds. The last vectors of the table are the questions.
async fn recall(vectors: Vec<Vec<f32>>) -> f64 {
    let table = Arc::new(Table(vectors));
    let index = VectorIndex::in_memory(table.clone());
    index.put(documents(RECALLED, 8)).await.expect("put");
    index.commit().await.expect("committed");
    let (corpus, questions) = table.0.split_at(RECALLED);
    let mut hits = 0;
    for (question, vector) in (RECALLED..).zip(questions) {
        let nearest = nearest(corpus, vector);
        let found = index.retrieve(&query(question)).await.expect("found");
        hits += found.iter().filter(|passage| nearest.contains(&number(&passage.text))).count();
    }
    hits as f64 / (NEAREST * QUESTIONS) as f64
}

/// Times of an index on disk: building, opening, searching, changing.
async fn on_disk(figures: &mut Figures, vectors: Vec<Vec<f32>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let table: Arc<Table> = Arc::new(Table(vectors));
    let open = || VectorIndex::open(folder.path(), table.clone());
    let index = open().await.expect("opened");
    index.put(documents(SEARCHED, 800)).await.expect("put");
    let peak = Peak::start();
    let started = Instant::now();
    index.commit().await.expect("committed");
    figures.line("vector/disk/commit", started.elapsed().as_secs_f64(), "s", Goal::None);
    if let Some(grown) = peak.grown() {
        figures.line("vector/disk/commit/memory", grown, "MB", Goal::None);
    }
    let changed = Instant::now();
    index.put(documents(100, 800)).await.expect("put");
    index.commit().await.expect("committed");
    figures.line("vector/disk/commit-100-more", changed.elapsed().as_secs_f64(), "s", Goal::None);
    drop(index);
    figures.line("vector/disk/size", size_on_disk(folder.path()), "MB", Goal::None);

    let peak = Peak::start();
    let opened = Instant::now();
    let index = open().await.expect("opened");
    figures.line("vector/disk/open", opened.elapsed().as_secs_f64(), "s", Goal::None);
    if let Some(grown) = peak.grown() {
        figures.line("vector/disk/open/memory", grown, "MB", Goal::None);
    }
    let mut times = Vec::with_capacity(QUESTIONS);
    for question in SEARCHED..SEARCHED + QUESTIONS {
        let started = Instant::now();
        let found = index.retrieve(&query(question)).await.expect("found");
        times.push(started.elapsed());
        assert_eq!(found.len(), NEAREST);
    }
    figures.times("vector/disk/query", times, Goal::AtMost(20.0));
}

fn query(question: usize) -> Query {
    Query::new(question.to_string(), NonZeroUsize::new(NEAREST).expect("not zero"))
}

/// Documents of one passage, whose text is the number of its vector, filled up with blanks that parse away.
fn documents(count: usize, length: usize) -> Vec<Document> {
    let document = |number: usize| {
        let text = format!("{number:0length$}");
        let passage = Passage::new(text, Source::new(number.to_string()), 0.0);
        Document::new(number.to_string(), Fingerprint(0), vec![passage])
    };
    (0..count).map(document).collect()
}

fn nearest(corpus: &[Vec<f32>], question: &[f32]) -> BTreeSet<usize> {
    let near = |vector: &Vec<f32>| vector.iter().zip(question).map(|(a, b)| a * b).sum::<f32>();
    let mut all: Vec<(f32, usize)> = corpus.iter().map(near).zip(0..).collect();
    all.select_nth_unstable_by(NEAREST, |a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(NEAREST).map(|(_, number)| number).collect()
}

fn random(count: usize, random: &mut fastrand::Rng) -> Vec<Vec<f32>> {
    (0..count).map(|_| around(&[0.0; DIMENSIONS], 1.0, random)).collect()
}

/// Points around centres, cluster after cluster as documents come; the questions are around all of the centres.
fn clustered(count: usize, random: &mut fastrand::Rng) -> Vec<Vec<f32>> {
    let centres: Vec<_> = (0..CLUSTERS).map(|_| around(&[0.0; DIMENSIONS], 1.0, random)).collect();
    let corpus = (0..RECALLED).map(|number| number * CLUSTERS / RECALLED);
    let questions = (RECALLED..count).map(|number| number % CLUSTERS);
    corpus.chain(questions).map(|cluster| around(&centres[cluster], 0.3, random)).collect()
}

/// A point of unit length around a centre, normally distributed.
fn around(centre: &[f32], spread: f32, random: &mut fastrand::Rng) -> Vec<f32> {
    let mut normal = || {
        let (length, angle) = ((-2.0 * random.f32().max(1e-9).ln()).sqrt(), std::f32::consts::TAU * random.f32());
        length * angle.cos()
    };
    let point: Vec<f32> = centre.iter().map(|component| component + spread * normal()).collect();
    let length = point.iter().map(|component| component * component).sum::<f32>().sqrt();
    point.into_iter().map(|component| component / length).collect()
}
