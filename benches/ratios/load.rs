//! Shedding under overload, and stages that burn CPU.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;
use tokio::runtime::Runtime;

use crate::harness::{Goal, Harness};
use crate::hops::{Item, Noop, two_threads};

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

/// Answers per second while bursts of twice the depth arrive, in all three classes, at a queue of 64.
///
/// Just half of every burst is shed, newcomers by `RejectNew`, older and lower ones by `DropOldest`: on one thread a burst
/// is there before the stage sees the first of it.
fn shedding(policy: ShedPolicy, time: Duration) -> f64 {
    const DEPTH: usize = 64;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let pipeline = Pipeline::builder("shedding")
            .stage_with(Noop, StageConfig::new().depth(DEPTH).shed(policy))
            .build()
            .expect("the plan is sound");
        let started = Instant::now();
        let mut answered = 0_u64;
        while started.elapsed() < time {
            let mut inside = Vec::with_capacity(2 * DEPTH);
            for number in 0..2 * DEPTH as u64 {
                let priority = Priority::ALL[number as usize % 3];
                let options = RequestOptions::new().priority(priority).within(Duration::from_secs(30));
                inside.extend(pipeline.submit_with(Item([number; 7]), options).await);
            }
            for mut answer in inside {
                answered += u64::from(answer.output().await.is_ok());
            }
        }
        let rate = answered as f64 / started.elapsed().as_secs_f64();
        assert_eq!(2 * answered, pipeline.stats().submitted, "half of the arrivals are shed");
        rate
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
        let pairs = harness.pairs(|| shedding(ShedPolicy::RejectNew, time), || shedding(ShedPolicy::DropOldest, time));
        harness.ratio("drop-oldest answered", Goal::AtLeast(0.90), pairs.iter().map(|(reject, drop)| drop / reject));
    }
    if harness.wants("cpu") {
        let pairs = harness.pairs(|| bare_cpu(time), || cpu(&runtime, time));
        harness.ratio("cpu throughput", Goal::AtLeast(0.90), pairs.iter().map(|(bare, ours)| ours / bare));
    }
}
