//! The index over vectors: recall against brute force, the time of a search, and what an index takes.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::rag::{Document, Fingerprint, Index};

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

/// Measures, prints and returns whether every goal was met.
pub(crate) fn run() -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let random = |count: usize| random(count, &mut fastrand::Rng::with_seed(1));
    let clustered = |count: usize| clustered(count, &mut fastrand::Rng::with_seed(2));
    let recalled = [
        runtime.block_on(recall("random", random(RECALLED + QUESTIONS))),
        runtime.block_on(recall("clustered", clustered(RECALLED + QUESTIONS))),
    ];
    let searched = runtime.block_on(on_disk(random(SEARCHED + QUESTIONS)));
    fact("vector/peak memory with tables and texts", &format!("{} MiB", peak_memory() >> 20));
    recalled.into_iter().all(|met| met) && searched
}

/// Prints a figure beside its goal.
fn goal(what: &str, figure: &str, goal: &str, met: bool) -> bool {
    println!("{what:<44} {figure:>12}   goal {goal:<10} {}", if met { "met" } else { "MISSED" });
    met
}

fn fact(what: &str, figure: &str) {
    println!("{what:<44} {figure:>12}");
}

/// The share of the nearest that an index in memory finds. The last vectors of the table are the questions.
async fn recall(kind: &str, vectors: Vec<Vec<f32>>) -> bool {
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
    let recall = hits as f64 / (NEAREST * QUESTIONS) as f64;
    let what = format!("vector/recall at 10, {RECALLED} {kind}");
    goal(&what, &format!("{recall:.4}"), ">= 0.95", recall >= 0.95)
}

/// Times of an index on disk: building, opening, searching, changing.
async fn on_disk(vectors: Vec<Vec<f32>>) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let table: Arc<Table> = Arc::new(Table(vectors));
    let open = || VectorIndex::open(folder.path(), table.clone());
    let index = open().await.expect("opened");
    index.put(documents(SEARCHED, 800)).await.expect("put");
    let started = Instant::now();
    index.commit().await.expect("committed");
    fact(&format!("vector/commit of {SEARCHED}"), &format!("{:.1?}", started.elapsed()));
    let changed = Instant::now();
    index.put(documents(100, 800)).await.expect("put");
    index.commit().await.expect("committed");
    fact("vector/commit of 100 more in their place", &format!("{:.1?}", changed.elapsed()));
    drop(index);
    let bytes = std::fs::read_dir(folder.path()).expect("a folder").map(|file| size(&file.expect("a file").path()));
    fact("vector/bytes on disk each, text of 800", &format!("{}", bytes.sum::<u64>() / SEARCHED as u64));

    let opened = Instant::now();
    let index = open().await.expect("opened");
    fact(&format!("vector/open of {SEARCHED}"), &format!("{:.1?}", opened.elapsed()));
    let mut times = Vec::with_capacity(QUESTIONS);
    for question in SEARCHED..SEARCHED + QUESTIONS {
        let started = Instant::now();
        let found = index.retrieve(&query(question)).await.expect("found");
        times.push(started.elapsed());
        assert_eq!(found.len(), NEAREST);
    }
    times.sort();
    fact(&format!("vector/search p50 of {SEARCHED}"), &format!("{:.2?}", times[QUESTIONS / 2]));
    let p99 = times[QUESTIONS * 99 / 100];
    goal(&format!("vector/search p99 of {SEARCHED}"), &format!("{p99:.2?}"), "< 20 ms", p99 < Duration::from_millis(20))
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

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).expect("a file").len()
}

/// Returns the most memory that this process has had; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
