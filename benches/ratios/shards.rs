//! Two pinned shards against the work-stealing runtime with as many threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use tokio::runtime::Runtime;

use crate::baseline::DEPTH;
use crate::harness::{Goal, Harness, median};
use crate::hops::{Caller, Item, Noop, Round, STAGES, calls, gather, two_threads};

const SHARDS: usize = 2;

type Stages = Pipeline<Item, Item>;

/// The same pipeline on both sides.
fn noops() -> Result<Stages, BuildError> {
    let config = || StageConfig::new().depth(DEPTH);
    let first = Pipeline::builder("shards").stage_with(Noop, config());
    (1..STAGES).fold(first, |builder, _| builder.stage_with(Noop, config())).build()
}

fn options(session: &Arc<str>, now: Instant) -> RequestOptions {
    RequestOptions::new().session(session.clone()).deadline((now + Duration::from_secs(30)).into())
}

async fn wait(mut answer: Answer<Item>, number: u64) {
    assert_eq!(answer.output().await.expect("answered").0[6], number);
}

/// A session's calls of the one pipeline.
#[derive(Clone)]
struct Anywhere(Stages, Arc<str>);

impl Caller for Anywhere {
    async fn call(&self, number: u64, now: Instant) {
        let Self(pipeline, session) = self;
        let answer = pipeline.submit_with(Item([number; 7]), options(session, now)).await.expect("let in");
        wait(answer, number).await;
    }
}

/// A session's calls of its home shard.
#[derive(Clone)]
struct AtHome(Shards<Item, Item>, Arc<str>);

impl Caller for AtHome {
    async fn call(&self, number: u64, now: Instant) {
        let Self(shards, session) = self;
        let answer = shards.submit_with(Item([number; 7]), options(session, now)).await.expect("let in");
        wait(answer, number).await;
    }
}

/// As many sessions, at home on the shards in turn.
fn sessions(shards: &Shards<Item, Item>, count: usize) -> Vec<Arc<str>> {
    let mut names = (0..).map(|n| format!("session-{n}"));
    let mut on = |shard| names.by_ref().find(|name| shards.shard_of(name) == shard).expect("there are enough");
    (0..count).map(|n| on(n % SHARDS).into()).collect()
}

/// A closed loop of a task for each session, wherever the runtime puts it.
fn anywhere(runtime: &Runtime, pipeline: &Stages, sessions: &[Arc<str>], time: Duration) -> Round {
    runtime.block_on(async {
        let started = Instant::now();
        let spawn =
            |session: &Arc<str>| tokio::spawn(calls(Anywhere(pipeline.clone(), session.clone()), started, time));
        gather(started, sessions.iter().map(spawn).collect()).await
    })
}

/// The same with the task of each session on the home shard of the one that stands in its place in `at`.
fn on_shards(
    control: &Runtime,
    shards: &Shards<Item, Item>,
    sessions: &[Arc<str>],
    at: &[Arc<str>],
    time: Duration,
) -> Round {
    control.block_on(async {
        let started = Instant::now();
        let spawn = |(session, at): (&Arc<str>, &Arc<str>)| {
            shards.spawn_on(at, calls(AtHome(shards.clone(), session.clone()), started, time))
        };
        gather(started, sessions.iter().zip(at).map(spawn).collect()).await
    })
}

/// Measures throughput at home and from the other core, and the latency of a lone caller in both places.
pub(crate) fn run(harness: &mut Harness) {
    if !harness.wants("shards") {
        return;
    }
    let runtime = two_threads();
    // Only waits for the callers.
    let control = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let pipeline = noops().expect("the plan is sound");
    let shards = Shards::of(SHARDS).build(|_| noops()).expect("the plan is sound");
    let time = harness.round_time();
    let throughput = |(bare, ours): &(Round, Round)| ours.per_second / bare.per_second;
    for (name, in_flight, goal) in
        [("shards/64 throughput", 64, Goal::AtLeast(1.4)), ("shards/1024 throughput", 1024, Goal::AtLeast(1.05))]
    {
        if harness.wants(name) {
            let sessions = sessions(&shards, in_flight);
            let pairs = harness.pairs(
                || anywhere(&runtime, &pipeline, &sessions, time),
                || on_shards(&control, &shards, &sessions, &sessions, time),
            );
            harness.ratio(name, goal, pairs.iter().map(throughput));
        }
    }
    if harness.wants("shards/other core") {
        let sessions = sessions(&shards, 64);
        let mut elsewhere = sessions.clone();
        elsewhere.rotate_left(1);
        let pairs = harness.pairs(
            || anywhere(&runtime, &pipeline, &sessions, time),
            || on_shards(&control, &shards, &sessions, &elsewhere, time),
        );
        harness.ratio("shards/other core", Goal::None, pairs.iter().map(throughput));
        let lone = &sessions[..1];
        let pairs = harness.pairs(
            || on_shards(&control, &shards, lone, lone, time),
            || on_shards(&control, &shards, lone, &elsewhere[..1], time),
        );
        let p50 = |round: &Round| round.quantile(0.5) / 1e3;
        let mut home: Vec<f64> = pairs.iter().map(|(home, _)| p50(home)).collect();
        let mut other: Vec<f64> = pairs.iter().map(|(_, other)| p50(other)).collect();
        harness.line("shards/home core us", median(&mut home), Goal::None, pairs.len());
        harness.line("shards/other core us", median(&mut other), Goal::None, pairs.len());
    }
}
