//! A pipeline without tokens: texts in, vectors out, with few calls of the embedder for many requests.
//!
//! `cargo run --release --example embedding_pipeline`
//!
//! `batch.rs` is the stage that gathers; `embedder.rs` a small embedder that needs no model.

mod batch;
mod embedder;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use tokio::task::JoinSet;

use crate::batch::{BatchStage, Texts, Vectors};
use crate::embedder::Trigrams;

const CALLERS: usize = 64;
const REQUESTS_EACH: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alone = Arc::new(Trigrams::default());
    let one_by_one = Pipeline::builder("one by one")
        .then_with("embed", StageConfig::new().spawned(), {
            let embedder = alone.clone();
            move |_cx, Texts(texts): Texts| {
                let embedder = embedder.clone();
                async move { embedder.embed(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await }
            }
        })
        .build()?;

    let together = Arc::new(Trigrams::default());
    let most = NonZeroUsize::new(64).ok_or("no texts")?;
    let gathered = Pipeline::builder("gathered")
        .stage(BatchStage::new(together.clone(), most, Duration::from_millis(2)))
        .build()?;

    println!("{CALLERS} callers, each with {REQUESTS_EACH} requests of 1 to 3 texts, one after the other\n");
    println!(
        "{:12}{:>9}{:>8}{:>16}{:>10}{:>9}{:>9}",
        "", "requests", "calls", "texts per call", "all in", "p50", "p95"
    );
    let expected = row(&one_by_one, &alone).await?;
    let vectors = row(&gathered, &together).await?;
    if vectors != expected {
        return Err("the vectors differ".into());
    }
    println!("\nTimes in ms; p50 and p95 are those of a request. Both ways gave the same {} vectors.", vectors.len());
    Ok(())
}

/// Sends all requests through a pipeline, prints what it took, and returns the vectors in the order of the texts.
async fn row(pipeline: &Pipeline<Texts, Vectors>, embedder: &Trigrams) -> Result<Vectors, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let pipeline = pipeline.clone();
        callers.spawn(async move {
            let mut vectors = Vectors::new();
            for request in 0..REQUESTS_EACH {
                vectors.extend(pipeline.submit(Texts(texts(caller, request))).await?.output().await?);
            }
            Ok::<_, Error>((caller, vectors))
        });
    }
    let mut vectors = callers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let all_in = started.elapsed();

    let ((calls, texts), stats) = (embedder.counts(), pipeline.stats());
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    println!(
        "{:12}{:>9}{calls:>8}{:>16.1}{:>10}{:>9}{:>9}",
        pipeline.name(),
        stats.answered,
        texts as f64 / calls as f64,
        ms(all_in),
        ms(stats.total.p50),
        ms(stats.total.p95)
    );
    vectors.sort_by_key(|(caller, _)| *caller);
    Ok(vectors.into_iter().flat_map(|(_, vectors)| vectors).collect())
}

/// The texts of a request, which no other has.
fn texts(caller: usize, request: usize) -> Vec<String> {
    let text =
        |n| format!("Caller {caller} asks in request {request} for the vector of text {n}, and is given its own.");
    (0..1 + (caller + request) % 3).map(text).collect()
}
