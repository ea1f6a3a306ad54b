//! Five stages that do nothing, against chains of channels: what the runtime costs by itself.

use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::baseline::{Chain, DEPTH, Payload};
use crate::harness::{Goal, Harness, median};

pub(crate) const STAGES: usize = 5;

/// What travels through the pipeline.
pub(crate) struct Item(pub(crate) Payload);

impl Input for Item {}

/// A stage that does nothing.
pub(crate) struct Noop;

impl Stage<Item> for Noop {
    type Out = Item;
    type Error = Infallible;

    async fn run(&self, _cx: &Context, item: Item) -> Result<Item, Infallible> {
        Ok(item)
    }
}

/// A stage in which every item is pending once.
struct PendingOnce;

impl Stage<Item> for PendingOnce {
    type Out = Item;
    type Error = Infallible;

    async fn run(&self, _cx: &Context, item: Item) -> Result<Item, Infallible> {
        tokio::task::yield_now().await;
        Ok(item)
    }
}

/// What one side of a round measured.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// Sorted, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
}

impl Round {
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        self.latencies[((self.latencies.len() - 1) as f64 * q) as usize] as f64
    }
}

pub(crate) fn two_threads() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
}

/// Somebody who calls and waits for the answer; each task of a loop has its own clone.
pub(crate) trait Caller: Clone + Send + Sync + 'static {
    fn call(&self, number: u64, now: Instant) -> impl Future<Output = ()> + Send;
}

impl Caller for Chain {
    async fn call(&self, number: u64, _now: Instant) {
        assert_eq!(Self::call(self, [number; 7]).await[6], number);
    }
}

impl Caller for Pipeline<Item, Item> {
    /// Every request has a deadline, from the reading of the clock that the loop takes on both sides.
    async fn call(&self, number: u64, now: Instant) {
        let options = RequestOptions::new().deadline((now + Duration::from_secs(30)).into());
        let mut answer = self.submit_with(Item([number; 7]), options).await.expect("let in");
        let item = answer.output().await.expect("answered");
        assert_eq!(item.0[6], number);
    }
}

/// One of the tasks of a closed loop: calls and waits, until `time` has passed since the start. Returns the latencies.
pub(crate) async fn calls(caller: impl Caller, started: Instant, time: Duration) -> Vec<u64> {
    let mut latencies = Vec::new();
    let mut number = 0;
    let mut before = Instant::now();
    loop {
        caller.call(number, before).await;
        number += 1;
        // One reading per call on both sides.
        let now = Instant::now();
        latencies.push((now - before).as_nanos() as u64);
        before = now;
        if now - started > time {
            return latencies;
        }
    }
}

/// Waits for the tasks of a closed loop.
pub(crate) async fn gather(started: Instant, tasks: Vec<JoinHandle<Vec<u64>>>) -> Round {
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("no panic"));
    }
    let per_second = latencies.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Round { per_second, latencies }
}

/// A closed loop of `in_flight` tasks.
pub(crate) fn closed_loop(runtime: &Runtime, in_flight: usize, time: Duration, caller: &impl Caller) -> Round {
    runtime.block_on(async {
        let started = Instant::now();
        let tasks = (0..in_flight).map(|_| tokio::spawn(calls(caller.clone(), started, time))).collect();
        gather(started, tasks).await
    })
}

/// One of the stages of a pipeline.
#[derive(Clone, Copy)]
enum Kind {
    Noop,
    Pending,
}

fn pipeline(config: &StageConfig, kinds: [Kind; STAGES]) -> Pipeline<Item, Item> {
    let mut builder = Pipeline::builder("bench");
    for kind in kinds {
        builder = match kind {
            Kind::Noop => builder.stage_with(Noop, config.clone()),
            Kind::Pending => builder.stage_with(PendingOnce, config.clone()),
        };
    }
    builder.build().expect("the plan is sound")
}

pub(crate) fn run(harness: &mut Harness) {
    let runtime = two_threads();
    let queued = || StageConfig::new().depth(DEPTH);
    let noops = [Kind::Noop; STAGES];
    let mut compare = |name: &str, in_flight: usize, chain: &dyn Fn() -> Chain, config, kinds| {
        if !harness.wants(name) {
            return None;
        }
        let (chain, pipeline) = runtime.block_on(async { (chain(), pipeline(&config, kinds)) });
        let time = harness.round_time();
        Some(harness.pairs(
            || closed_loop(&runtime, in_flight, time, &chain),
            || closed_loop(&runtime, in_flight, time, &pipeline),
        ))
    };
    let at_1 = compare("hops/1", 1, &|| Chain::plain(STAGES), queued(), noops);
    let at_64 = compare("hops/64", 64, &|| Chain::plain(STAGES), queued(), noops);
    let at_1024 = compare("hops/1024", 1024, &|| Chain::plain(STAGES), queued(), noops);
    let pending_kinds = [Kind::Noop, Kind::Noop, Kind::Pending, Kind::Noop, Kind::Noop];
    let pending = compare("pending/64", 64, &|| Chain::pending(STAGES, 2), queued(), pending_kinds);
    let batched = compare("batched/64", 64, &|| Chain::batched(STAGES), queued(), noops);
    let inline = compare("inline/64", 64, &Chain::fused, StageConfig::new().inline(), noops);

    let throughput = |(bare, ours): &(Round, Round)| ours.per_second / bare.per_second;
    let quantile = |q: f64| move |(bare, ours): &(Round, Round)| ours.quantile(q) / bare.quantile(q);
    if let Some(pairs) = &at_1 {
        let goal = Goal::ShortOfAtMost { goal: 1.5, held: 2.2 };
        harness.ratio("hops/1 p50", goal, pairs.iter().map(quantile(0.5)));
        harness.ratio("hops/1 throughput", Goal::None, pairs.iter().map(throughput));
    }
    if let Some(pairs) = &at_64 {
        harness.ratio("hops/64 throughput", Goal::AtLeast(0.80), pairs.iter().map(throughput));
        harness.ratio("hops/64 p99", Goal::AtMost(1.35), pairs.iter().map(quantile(0.99)));
        let mut absolute: Vec<f64> = pairs.iter().map(|(_, ours)| ours.per_second).collect();
        harness.line("hops/64 requests per second", median(&mut absolute), Goal::None, pairs.len());
    }
    if let Some(pairs) = &at_1024 {
        let goal = Goal::ShortOfAtLeast { goal: 0.80, held: 0.65 };
        harness.ratio("hops/1024 throughput", goal, pairs.iter().map(throughput));
    }
    if let Some(pairs) = &pending {
        harness.ratio("pending/64 throughput", Goal::AtLeast(0.85), pairs.iter().map(throughput));
    }
    if let Some(pairs) = &batched {
        harness.ratio("batched/64 throughput", Goal::AtLeast(0.55), pairs.iter().map(throughput));
    }
    if let Some(pairs) = &inline {
        let goal = Goal::ShortOfAtLeast { goal: 0.70, held: 0.50 };
        harness.ratio("inline/64 throughput", goal, pairs.iter().map(throughput));
    }
}
