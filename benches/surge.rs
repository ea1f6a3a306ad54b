//! What admission costs: the decision at the door with a thousand requests booked, and turns among tenants.
//!
//! `cargo bench --bench surge`: times with criterion, then the decision's 99th percentile on the thread's own processor clock,
//! with exit code 1 where that is above 20 us in the best of three rounds. With `-- --test` criterion only tries its cases; the
//! decision is measured all the same.

use std::convert::Infallible;
use std::future::pending;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use futures_util::future::join_all;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::request::Size;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

const BOOKED: u64 = 1_000;
const SLOTS: usize = 8;
const TENANTS: u64 = 50;
/// The longest that a decision may take, in 99 of 100 cases.
const LIMIT: Duration = Duration::from_micros(20);
const DECISIONS: u64 = 20_000;
/// How often they are taken: another guest on the host can spoil a round, caches and all, which says nothing of the code.
const ROUNDS: usize = 3;

/// A request; the number decides on its size, class and tenant.
struct Job {
    number: u64,
    options: RequestOptions,
}

impl Job {
    fn new(number: u64) -> Self {
        let priority = Priority::ALL[(number % 3) as usize];
        let tenant = format!("tenant {}", number * 7 % TENANTS);
        Self { number, options: RequestOptions::new().priority(priority).tenant(tenant) }
    }

    /// One that gets a slot in time because its class goes first, which takes a look at all that is booked.
    fn urgent(number: u64) -> Self {
        let mut job = Self::new(number);
        job.options = job.options.priority(Priority::High).within(Duration::from_secs(120));
        job
    }

    /// One that would come too late, as far as can be foreseen.
    fn hurried(number: u64) -> Self {
        let mut job = Self::new(number);
        job.options = job.options.within(Duration::from_secs(30));
        job
    }
}

impl Input for Job {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }

    fn size(&self) -> Size {
        Size::Time(Duration::from_millis(100 + self.number * 37 % 2_000))
    }
}

/// Never done with a request, so that what is booked stays.
struct Stuck;

impl Stage<Job> for Stuck {
    type Out = ();
    type Error = Infallible;

    async fn run(&self, _cx: &Context, _job: Job) -> Result<(), Infallible> {
        pending().await
    }
}

/// Done at once.
struct Noop;

impl Stage<Job> for Noop {
    type Out = ();
    type Error = Infallible;

    async fn run(&self, _cx: &Context, _job: Job) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A name, how the stage is placed, and who comes to it.
type Case = (&'static str, StageConfig, fn(u64) -> Job);

type Full = (Pipeline<Job, ()>, Vec<Answer<()>>);

/// A pipeline in which all slots are taken and a thousand requests wait.
fn full(runtime: &Runtime, config: StageConfig) -> Full {
    let config = config.slots(slots(SLOTS));
    let pipeline = Pipeline::builder("full").stage_with(Stuck, config).build().expect("the plan is sound");
    let answers = runtime.block_on(async {
        let submit = |number| pipeline.try_submit(Job::new(number)).expect("there is room");
        let running = (0..SLOTS as u64).map(submit).collect::<Vec<_>>();
        while pipeline.stats().stages[0].depth > 0 {
            tokio::task::yield_now().await;
        }
        running.into_iter().chain((0..BOOKED).map(submit)).collect()
    });
    (pipeline, answers)
}

/// Waits for hours are fine, so that the depth decides.
fn predictive() -> StageConfig {
    StageConfig::new().shed(ShedPolicy::Predictive).max_wait(Duration::from_secs(36_000)).depth(2 * BOOKED as usize)
}

fn reject_new(depth: u64) -> StageConfig {
    StageConfig::new().shed(ShedPolicy::RejectNew).depth(depth as usize)
}

fn slots(count: usize) -> Slots {
    Slots::new(NonZeroUsize::new(count).expect("not zero"))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn at_the_door(c: &mut Criterion) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let cases: [Case; 5] = [
        ("predictive, let in", predictive(), Job::new),
        ("predictive, let in before others", predictive(), Job::urgent),
        ("predictive, refused", predictive(), Job::hurried),
        ("reject-new, let in", reject_new(2 * BOOKED), Job::new),
        ("reject-new, refused", reject_new(BOOKED), Job::new),
    ];
    let mut group = c.benchmark_group("try_submit, 1,000 booked");
    for (name, config, job) in cases {
        let (pipeline, _answers) = full(&runtime, config);
        let mut number = 0;
        group.bench_function(name, |b| {
            // What is let in leaves again behind the measurement.
            let next = || {
                number += 1;
                job(number)
            };
            b.iter_batched(next, |job| pipeline.try_submit(black_box(job)), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// A hundred requests at a server that takes one at a time, so that each waits for its turn in the queue.
fn turns(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("a hundred through one slot");
    let of = |tenants: u64| {
        move |number: u64| {
            let options = RequestOptions::new().tenant(format!("tenant {}", number % tenants));
            Job { number, options }
        }
    };
    for (name, tenants) in [("one tenant", 1), ("ten tenants", 10), ("a hundred tenants", 100)] {
        let config = predictive().slots(slots(1));
        let pipeline = Pipeline::builder("turns").stage_with(Noop, config).build().expect("the plan is sound");
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter(async || {
                let requests = (0..100).map(of(tenants)).map(async |job| {
                    let mut answer = pipeline.submit(job).await.expect("let in");
                    answer.output().await
                });
                join_all(requests).await
            });
        });
    }
    group.finish();
}

/// The time that this thread has had a processor.
fn cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it counts from zero")
}

/// Takes a decision many times and prints what 99 of 100 took at most in the best round. Returns whether that is within the
/// limit.
fn decision(name: &str, job: fn(u64) -> Job, lets_in: bool) -> bool {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (pipeline, _answers) = full(&runtime, predictive());
    let rounds = (0..ROUNDS).map(|_| round(&pipeline, name, job, lets_in));
    let (p99, median) = rounds.min().expect("there are several");
    let verdict = if p99 <= LIMIT { "ok" } else { "too long" };
    println!("decision, {name}, processor time: p50 {median:?}, p99 {p99:?}, limit {LIMIT:?}: {verdict}");
    p99 <= LIMIT
}

/// What 99 of 100 decisions took at most, and what half of them did.
fn round(pipeline: &Pipeline<Job, ()>, name: &str, job: fn(u64) -> Job, lets_in: bool) -> (Duration, Duration) {
    let mut took: Vec<_> = (0..DECISIONS)
        .map(|number| {
            let job = job(number);
            let before = cpu();
            let decided = pipeline.try_submit(job);
            let took = cpu() - before;
            assert_eq!(decided.is_ok(), lets_in, "{name}");
            took
        })
        .collect();
    took.sort_unstable();
    (took[took.len() * 99 / 100], took[took.len() / 2])
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    at_the_door(&mut criterion);
    turns(&mut criterion);
    criterion.final_summary();
    let within = [
        decision("let in", Job::new, true),
        decision("let in before others", Job::urgent, true),
        decision("refused", Job::hurried, false),
    ];
    if !within.iter().all(|within| *within) {
        std::process::exit(1);
    }
}
