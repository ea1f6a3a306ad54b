//! Shedding under overload, and stages that burn CPU.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use tokio::runtime::Runtime;

use crate::harness::{Goal, Harness};
use crate::hops::{Item, two_threads};

/// Spins for about `time`.
fn burn(time: Duration) -> u64 {
    let started = Instant::now();
    let mut turns = 0_u64;
    while started.elapsed() < time {
        turns = black_box(turns + 1);
    }
    turns
}

/// A stage that computes for a while in one go.
struct Burn(Duration);

impl Stage<Item> for Burn {
    type Out = Item;
    type Error = Infallible;

    async fn run(&self, _cx: &Context, item: Item) -> Result<Item, Infallible> {
        burn(self.0);
        Ok(item)
    }
}

/// What came of a flood.
struct Flood {
    answered_per_second: f64,
    /// The part of the arrivals that was not answered.
    shed: f64,
}

/// Answers per second while bursts of twice the depth arrive, in all three classes, at a queue of 64.
///
/// Half of every burst is shed: the newcomers by `RejectNew`, older and lower ones by `DropOldest`.
fn shedding(runtime: &Runtime, policy: ShedPolicy, time: Duration) -> Flood {
    const DEPTH: usize = 64;
    const BURSTS_IN_TURN: usize = 2;
    runtime.block_on(async {
        let pipeline = Pipeline::builder("shedding")
            .stage_with(Burn(Duration::from_micros(2)), StageConfig::new().depth(DEPTH).shed(policy))
            .build()
            .expect("the plan is sound");
        let answered = Arc::new(AtomicU64::new(0));
        let offered = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let callers: Vec<_> = (0..BURSTS_IN_TURN)
            .map(|_| {
                let (pipeline, answered, offered) = (pipeline.clone(), answered.clone(), offered.clone());
                tokio::spawn(async move {
                    while started.elapsed() < time {
                        let mut inside = Vec::with_capacity(DEPTH);
                        for number in 0..DEPTH as u64 {
                            let priority = Priority::ALL[number as usize % 3];
                            let options = RequestOptions::new().priority(priority).within(Duration::from_secs(30));
                            inside.extend(pipeline.submit_with(Item([number; 7]), options).await);
                        }
                        offered.fetch_add(DEPTH as u64, Ordering::Relaxed);
                        for mut answer in inside {
                            answered.fetch_add(u64::from(answer.output().await.is_ok()), Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("no panic");
        }
        let answered = answered.load(Ordering::Relaxed) as f64;
        Flood {
            answered_per_second: answered / started.elapsed().as_secs_f64(),
            shed: 1.0 - answered / offered.load(Ordering::Relaxed) as f64,
        }
    })
}

/// Requests per second of a spawned stage that burns 200 us, beside what as many bare tasks do.
fn cpu(runtime: &Runtime, time: Duration) -> f64 {
    runtime.block_on(async {
        let pipeline = Pipeline::builder("cpu")
            .stage_with(Burn(Duration::from_micros(200)), StageConfig::new().spawned())
            .build()
            .expect("the plan is sound");
        let started = Instant::now();
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let pipeline = pipeline.clone();
                tokio::spawn(async move {
                    let mut done = 0_u64;
                    while started.elapsed() < time {
                        let mut answer = pipeline.submit(Item([done; 7])).await.expect("let in");
                        answer.output().await.expect("answered");
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut done = 0;
        for caller in callers {
            done += caller.await.expect("no panic");
        }
        done as f64 / started.elapsed().as_secs_f64()
    })
}

/// The same work on two threads without anything around it.
fn bare_cpu(time: Duration) -> f64 {
    let started = Instant::now();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                let mut done = 0_u64;
                while started.elapsed() < time {
                    burn(Duration::from_micros(200));
                    done += 1;
                }
                done
            })
        })
        .collect();
    let done: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    done as f64 / started.elapsed().as_secs_f64()
}

pub(crate) fn run(harness: &mut Harness) {
    let runtime = two_threads();
    let time = harness.round_time();
    if harness.wants("drop-oldest") {
        let pairs = harness.pairs(
            || shedding(&runtime, ShedPolicy::RejectNew, time),
            || shedding(&runtime, ShedPolicy::DropOldest, time),
        );
        let answered = pairs.iter().map(|(reject, drop)| drop.answered_per_second / reject.answered_per_second);
        harness.ratio("drop-oldest answered", Goal::AtLeast(0.90), answered);
        harness.ratio("drop-oldest shed", Goal::None, pairs.iter().map(|(_, drop)| drop.shed));
        harness.ratio("drop-oldest shed by reject-new", Goal::None, pairs.iter().map(|(reject, _)| reject.shed));
    }
    if harness.wants("cpu") {
        let pairs = harness.pairs(|| bare_cpu(time), || cpu(&runtime, time));
        harness.ratio("cpu throughput", Goal::AtLeast(0.90), pairs.iter().map(|(bare, ours)| ours / bare));
    }
}
