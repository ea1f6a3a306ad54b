//! Live memory stays flat, whatever the number of requests that went through.
//!
//! In a release build 10,000,000 requests go through five no-op stages, 64 in flight, with deadlines, and 20,000 token
//! streams through a worker; the live bytes after each tenth are compared where nothing is in flight. A debug build
//! sends 300,000 and 4,000, so that a plain `cargo test --workspace` stays quick. The full run:
//!
//! ```text
//! cargo test --release --test memory -- --nocapture
//! ```
//!
//! The bytes are those that the allocator gave out and has not got back, not the process's resident set, which a
//! general-purpose allocator keeps. They are counted by `stats_alloc`, with which the benches count allocations, too: it
//! has no dependencies, and its `static` needs no `unsafe` on our side. `peak_alloc` has the newer release (2025), but
//! counts bytes only, so that it would be a second one; `dhat` takes a backtrace per allocation, too slow for millions
//! of requests; `cap` and `accounting-allocator` are older.
//!
//! One test per file: whatever else ran in this process would be counted too.

use std::alloc::System;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: u64 = if cfg!(debug_assertions) { 300_000 } else { 10_000_000 };
const STREAMS: u64 = if cfg!(debug_assertions) { 4_000 } else { 20_000 };
const IN_FLIGHT: u64 = 64;
const SAMPLES: u64 = 10;
/// Samples until every vector and every map has grown to the size that it needs.
const WARM_UP: usize = 2;
/// Vectors that grow once more; two bytes per stream would be more.
const NOISE: usize = 16 * 1024;

#[test]
fn live_bytes_stay_flat() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    runtime.expect("a runtime").block_on(async {
        numbers().await;
        streams(StreamStage::default(), "buffered").await;
        streams(StreamStage::default().direct(), "direct").await;
    });
}

async fn numbers() {
    let mut builder = Pipeline::builder("memory").then("0", |_cx, n: u64| async move { Ok::<_, BoxError>(n) });
    for name in ["1", "2", "3", "4"] {
        builder = builder.then(name, |_cx, n: u64| async move { Ok::<_, BoxError>(n) });
    }
    let pipeline = builder.build().expect("builds");
    let round_trip = async |number: u64| {
        let options = RequestOptions::new().within(Duration::from_secs(3600));
        let mut answer = pipeline.submit_with(number, options).await.expect("let in");
        assert_eq!(answer.output().await.expect("answered"), number);
    };
    flat("requests", REQUESTS, &pipeline, round_trip).await;
}

async fn streams(delivery: StreamStage, name: &str) {
    let worker = MockWorker::new(Script::tokens(20));
    let pipeline = Pipeline::builder("memory").stage(InferenceStage::new(worker.clone())).stage(delivery).build();
    let pipeline = pipeline.expect("builds");
    let round_trip = async |number: u64| {
        let prompt = PromptRequest::new("?").within(Duration::from_secs(3600));
        let mut answer = pipeline.submit(prompt).await.expect("let in");
        match number % 8 {
            // Leaves in mid-stream, before the stream, or lets it go on.
            0 => drop(answer.next().await),
            1 => {}
            2 => answer.detach(),
            _ => assert_eq!(answer.text().await.expect("answered").len(), 40),
        }
    };
    flat(name, STREAMS, &pipeline, round_trip).await;
    assert_eq!(worker.stats().live, 0);
}

/// Sends `count` requests and looks at the live bytes after each tenth.
async fn flat<In, Out>(what: &str, count: u64, pipeline: &Pipeline<In, Out>, round_trip: impl AsyncFn(u64))
where
    In: prompt_orchestrator::request::Input,
    Out: Send + 'static,
{
    let mut live = Vec::with_capacity(SAMPLES as usize);
    for _ in 0..SAMPLES {
        let callers: FuturesUnordered<_> = (0..IN_FLIGHT)
            .map(|caller| {
                let round_trip = &round_trip;
                async move {
                    for number in (caller..count / SAMPLES).step_by(IN_FLIGHT as usize) {
                        round_trip(number).await;
                    }
                }
            })
            .collect();
        callers.collect::<()>().await;
        live.push(quiet(pipeline).await);
    }
    println!("{what}: {count}, live bytes {live:?}");
    let settled = &live[WARM_UP - 1..];
    let growth = settled[settled.len() - 1].saturating_sub(settled[0]);
    assert!(growth < NOISE, "{what}: grew by {growth} bytes: {live:?}");
}

/// The live bytes when nothing is in flight: what was cancelled is let go of a moment later.
async fn quiet<In, Out>(pipeline: &Pipeline<In, Out>) -> usize
where
    In: prompt_orchestrator::request::Input,
    Out: Send + 'static,
{
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut before = usize::MAX;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let stats = ALLOCATOR.stats();
        let now = stats.bytes_allocated - stats.bytes_deallocated;
        if pipeline.stats().in_flight == 0 && metrics.global_queue_depth() == 0 && now == before {
            return now;
        }
        before = now;
    }
}
