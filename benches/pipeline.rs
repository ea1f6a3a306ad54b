//! What one request costs, by the shape of its pipeline; for day-to-day work. `ratios` compares with code by hand.

use std::convert::Infallible;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use prompt_orchestrator::prelude::*;

struct Noop;

impl Stage<u64> for Noop {
    type Out = u64;
    type Error = Infallible;

    async fn run(&self, _cx: &Context, input: u64) -> Result<u64, Infallible> {
        Ok(input)
    }
}

fn one_request(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("one request");
    for (name, config) in [
        ("five queued stages", StageConfig::new()),
        ("five inline stages", StageConfig::new().inline()),
        ("five spawned stages", StageConfig::new().spawned()),
        ("five ordered stages", StageConfig::new().ordered()),
    ] {
        let mut builder = Pipeline::builder("bench").stage_with(Noop, config.clone());
        for _ in 1..5 {
            builder = builder.stage_with(Noop, config.clone());
        }
        let pipeline = builder.build().expect("the plan is sound");
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter(async || {
                let mut answer = pipeline.submit(black_box(1)).await.expect("let in");
                answer.output().await.expect("answered")
            });
        });
    }
    group.finish();
}

fn a_hundred_at_once(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = c.benchmark_group("a hundred at once");
    for policy in [ShedPolicy::Backpressure, ShedPolicy::RejectNew, ShedPolicy::DropOldest] {
        let config = StageConfig::new().depth(64).shed(policy);
        let pipeline = Pipeline::builder("bench").stage_with(Noop, config).build().expect("the plan is sound");
        group.bench_function(format!("{policy:?}"), |b| {
            b.to_async(&runtime).iter(async || {
                let requests = (0..100_u64).map(async |number| match pipeline.submit(number).await {
                    Ok(mut answer) => answer.output().await.is_ok(),
                    Err(_) => false,
                });
                futures_util::future::join_all(requests).await
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_request, a_hundred_at_once);
criterion_main!(benches);
