//! A run from its first request to its last look: callers that submit, a drain, and that nothing is left behind it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::stats::PipelineStats;
use prompt_orchestrator::testing::MockWorker;
use tokio::time::{sleep, timeout};

use crate::books::{Outcome, Told};

const CALLERS: u64 = 8;
const OUTSTANDING: usize = 64;
const TOO_LONG: Duration = Duration::from_secs(120);

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// Everything finishes by itself; then the pipeline drains.
    Quiet,
    /// The pipeline drains while callers still submit, and has no time for it.
    Rush,
}

pub(crate) struct Run {
    name: String,
    end: End,
    requests: u64,
    pub(crate) seed: u64,
}

impl Run {
    pub(crate) fn new(name: &str, end: End, requests: u64) -> Self {
        silence_expected_panics();
        let seed = std::env::var("CONSERVATION_SEED").ok().and_then(|s| s.parse().ok());
        Self { name: name.to_owned(), end, requests, seed: seed.unwrap_or_else(|| fastrand::u64(..)) }
    }

    /// Has the callers submit, each request living as `life` has it, and looks at what is left.
    pub(crate) fn check<In, Out, F, Fut>(
        self,
        pipeline: &Pipeline<In, Out>,
        worker: Option<(&MockWorker, &Slots)>,
        life: F,
    ) where
        In: Input,
        Out: Send + 'static,
        F: Fn(Pipeline<In, Out>, Rng) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build();
        let runtime = runtime.expect("a runtime");
        let whole = async {
            let (told, seen_at_drain) = self.play(pipeline, worker, life).await;
            let stats = pipeline.stats();
            println!("{}: {told:?}", self.name);
            told.check(&stats);
            if let Some((worker, slots)) = worker {
                let (seen, free) = seen_at_drain.expect("there is a worker");
                assert_eq!((seen.live, free), (0, slots.total()), "alive and free slots when the drain returned");
                check_worker(worker, slots, &stats);
            }
            // A task is over a moment before its runtime stops counting it.
            let metrics = tokio::runtime::Handle::current().metrics();
            eventually("no task is left", || metrics.num_alive_tasks() == 0).await;
        };
        let guard = OnPanic(format!("CONSERVATION_SEED={} ({})", self.seed, self.name));
        if runtime.block_on(async { timeout(TOO_LONG, whole).await }).is_err() {
            panic!("hangs: {:#?} {:?}", pipeline.stats(), worker.map(|(worker, slots)| (worker.stats(), slots.free())));
        }
        drop(guard);
    }

    /// Returns what the callers know, and what the worker saw when the pipeline had drained.
    async fn play<In, Out, F, Fut>(
        &self,
        pipeline: &Pipeline<In, Out>,
        worker: Option<(&MockWorker, &Slots)>,
        life: F,
    ) -> (Told, Option<(prompt_orchestrator::testing::MockStats, usize)>)
    where
        In: Input,
        Out: Send + 'static,
        F: Fn(Pipeline<In, Out>, Rng) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let begun = Arc::new(AtomicU64::new(0));
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..CALLERS {
            let rng = Rng::with_seed(self.seed.wrapping_add(number));
            let (pipeline, life, begun) = (pipeline.clone(), life.clone(), begun.clone());
            let count = self.requests / CALLERS;
            callers.spawn(caller(rng, count, move |mut rng| {
                begun.fetch_add(1, Ordering::Relaxed);
                let pause = Duration::from_millis(rng.u64(0..60));
                let life = life(pipeline.clone(), rng);
                async move {
                    let outcome = life.await;
                    if matches!(outcome, Outcome::Refused(_) | Outcome::Shed(_)) {
                        // Gives those inside a chance, where a queue was full.
                        sleep(pause).await;
                    }
                    outcome
                }
            }));
        }
        let look = || worker.map(|(worker, slots)| (worker.stats(), slots.free()));
        let mut told = Told::default();
        let mut seen = None;
        if self.end == End::Rush {
            let most = self.requests * 9 / 10;
            eventually("the callers get on", || begun.load(Ordering::Relaxed) >= most).await;
            pipeline.drain(Duration::from_millis(self.seed % 4)).await;
            seen = look();
        }
        while let Some(caller) = callers.join_next().await {
            told.add(caller.expect("callers do not panic"));
        }
        if self.end == End::Quiet {
            // Without anybody's help: detached requests finish, and what was cancelled lets go of its slot.
            eventually("everything ends", || pipeline.stats().in_flight == 0).await;
            if let Some((_, slots)) = worker {
                eventually("every slot is free", || slots.free() == slots.total()).await;
            }
            let report = pipeline.drain(Duration::from_secs(60)).await;
            assert_eq!((report.finished, report.cancelled), (0, 0), "it was idle");
            seen = look();
        }
        (told, seen)
    }
}

fn check_worker(worker: &MockWorker, slots: &Slots, stats: &PipelineStats) {
    let seen = worker.stats();
    assert_eq!(seen.live, 0, "a call or stream is still alive: {seen:?}");
    assert_eq!(seen.calls, seen.finished + seen.cancelled, "{seen:?}");
    assert!(seen.most_live <= slots.total(), "more alive than slots: {seen:?}");
    assert_eq!(slots.free(), slots.total(), "a slot is taken");
    assert!(seen.calls <= stats.accepted, "called for what was not let in");
    assert!(seen.finished >= stats.answered, "answered what the worker did not finish");
    assert!(seen.most_live > 1 && seen.cancelled > 0 && seen.finished > 0, "{seen:?}");
}

/// Keeps up to 64 requests going.
async fn caller<F, Fut>(mut rng: Rng, count: u64, life: F) -> Told
where
    F: Fn(Rng) -> Fut,
    Fut: Future<Output = Outcome>,
{
    let mut told = Told::default();
    let mut outstanding = FuturesUnordered::new();
    for _ in 0..count {
        while outstanding.len() >= OUTSTANDING {
            told.record(outstanding.next().await.expect("not empty"));
        }
        outstanding.push(life(rng.fork()));
    }
    while let Some(outcome) = outstanding.next().await {
        told.record(outcome);
    }
    told
}

/// Waits until it is so, for half as long as the whole may take.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(TOO_LONG / 2, wait).await.is_ok(), "never: {what}");
}

/// Says how to run again what is failing.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Thousands of panics are part of the test; only the others are worth a word.
fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<&str>().copied();
            let text = text.or(panic.payload().downcast_ref::<String>().map(String::as_str));
            let expected = text.is_some_and(|text| text.starts_with("expected"));
            if !expected {
                report(panic);
            }
        }));
    });
}
