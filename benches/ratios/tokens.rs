//! A thousand token streams through inference, two filters and the stream stage, against one bare channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use prompt_orchestrator::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::harness::{Goal, Harness, median};
use crate::hops::two_threads;

/// Counts allocations; both sides of every ratio pay for the counting.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const STREAMS: usize = 1_000;
const TOKENS: usize = 512;
/// As deep as the pipeline's own buffer.
const DEPTH: usize = 256;

/// A worker whose tokens are there when they are asked for.
struct Ready;

#[async_trait]
impl ModelWorker for Ready {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        Ok(TokenStream::from_stream(tokens()))
    }
}

/// The events of one answer, made without an allocation.
fn tokens() -> impl futures_util::Stream<Item = Result<TokenEvent, WorkerError>> + Send + 'static {
    let mut sent = 0;
    futures_util::stream::poll_fn(move |_| {
        sent += 1;
        std::task::Poll::Ready(match sent {
            1..TOKENS => Some(Ok(TokenEvent::text_delta(" token"))),
            TOKENS => Some(Ok(TokenEvent::finish(FinishReason::Stop, Usage::new(1, TOKENS as u64)))),
            _ => None,
        })
    })
}

/// What one side of a round measured.
struct Round {
    per_second: f64,
    allocations_per_token: f64,
}

fn round(runtime: &Runtime, read: impl Fn(Arc<AtomicUsize>) -> tokio::task::JoinHandle<()>) -> Round {
    let seen = Arc::new(AtomicUsize::new(0));
    let region = Region::new(ALLOCATOR);
    let started = Instant::now();
    runtime.block_on(async {
        let readers: Vec<_> = (0..STREAMS).map(|_| read(seen.clone())).collect();
        for reader in readers {
            reader.await.expect("no panic");
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    let tokens = seen.load(Ordering::Relaxed);
    assert_eq!(tokens, STREAMS * TOKENS, "every token arrives");
    Round {
        per_second: tokens as f64 / elapsed,
        allocations_per_token: region.change().allocations as f64 / tokens as f64,
    }
}

/// A task that makes the events, a bare channel, and the reader.
fn bare(runtime: &Runtime) -> Round {
    use futures_util::StreamExt as _;
    round(runtime, |seen| {
        runtime.spawn(async move {
            let (tx, mut rx) = mpsc::channel(DEPTH);
            let producer = tokio::spawn(async move {
                let mut tokens = std::pin::pin!(tokens());
                while let Some(event) = tokens.next().await {
                    if tx.send(event).await.is_err() {
                        return;
                    }
                }
            });
            let mut count = 0;
            while let Some(event) = rx.recv().await {
                count += usize::from(event.is_ok());
            }
            producer.await.expect("no panic");
            seen.fetch_add(count, Ordering::Relaxed);
        })
    })
}

fn ours(runtime: &Runtime, pipeline: &Pipeline<PromptRequest, Tokens>) -> Round {
    round(runtime, |seen| {
        let pipeline = pipeline.clone();
        runtime.spawn(async move {
            let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
            let mut count = 0;
            while let Some(event) = answer.next().await {
                count += usize::from(event.is_ok());
            }
            seen.fetch_add(count, Ordering::Relaxed);
        })
    })
}

fn pipeline(stream: StreamStage) -> Pipeline<PromptRequest, Tokens> {
    let unchanged = || PostStage::new().map_text(|text| text.into());
    Pipeline::builder("tokens")
        .stage_with(InferenceStage::new(Ready), StageConfig::new().depth(STREAMS).concurrency(STREAMS))
        .stage(unchanged())
        .stage(unchanged())
        .stage(stream)
        .build()
        .expect("the plan is sound")
}

pub(crate) fn run(harness: &mut Harness) {
    let runtime = two_threads();
    let direct = Goal::ShortOfAtLeast { goal: 0.95, held: 0.75 };
    for (name, stage, goal) in [
        ("tokens/buffered", StreamStage::default(), Goal::AtLeast(0.70)),
        ("tokens/direct", StreamStage::default().direct(), direct),
    ] {
        if !harness.wants(name) {
            continue;
        }
        let pipeline = pipeline(stage);
        let pairs = harness.pairs(|| bare(&runtime), || ours(&runtime, &pipeline));
        let throughput = pairs.iter().map(|(bare, ours)| ours.per_second / bare.per_second);
        harness.ratio(&format!("{name} tokens per second"), goal, throughput);
        let mut added: Vec<f64> =
            pairs.iter().map(|(bare, ours)| ours.allocations_per_token - bare.allocations_per_token).collect();
        let added = median(&mut added);
        harness.line(&format!("{name} allocations added"), added, Goal::AtMost(0.05), pairs.len());
    }
}
