//! What a token costs on its way to the caller; for day-to-day work. `ratios` compares with code by hand.

use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

const TOKENS: usize = 512;

fn one_stream(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("one stream of 512 tokens");
    group.throughput(Throughput::Elements(TOKENS as u64));
    let small = NonZeroUsize::new(16).expect("not zero");
    for (name, post, stream) in [
        ("buffered", PostStage::new(), StreamStage::default()),
        ("buffered, 16 events", PostStage::new(), StreamStage::default().buffered(small)),
        ("direct", PostStage::new(), StreamStage::default().direct()),
        ("direct, trimmed", PostStage::new().trim(), StreamStage::default().direct()),
    ] {
        let pipeline = Pipeline::builder("bench")
            .stage(InferenceStage::new(MockWorker::new(Script::tokens(TOKENS - 1))))
            .stage(post)
            .stage(stream)
            .build()
            .expect("the plan is sound");
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter(async || {
                let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
                let mut events = 0;
                while let Some(event) = answer.next().await {
                    events += usize::from(event.is_ok());
                }
                assert_eq!(events, TOKENS);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_stream);
criterion_main!(benches);
