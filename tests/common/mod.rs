//! What the tests of the runtime's contracts share: waiting without sleeping, a gate that a stage stands at, and the
//! books that must balance whatever happened.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use prompt_orchestrator::pipeline::Builder;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::stats::PipelineStats;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// Lets every other task run until it has nothing to do. The clock of a paused runtime does not move meanwhile.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Lets others run until `holds`; gives up after a bounded number of turns.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never came true: {what}");
}

/// Like [`until`], for more than one thread, where a turn here is no turn there.
pub(crate) fn until_on_threads(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < patience, "never came true: {what}");
        std::thread::yield_now();
    }
}

/// Waits, though not for ever: an hour on the paused clock, so that what never comes fails the test.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), future).await.expect("it comes within an hour")
}

/// Burns CPU, as a stage does that ought to be spawned.
pub(crate) fn burn(time: Duration) {
    let started = std::time::Instant::now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Polls once, with the waker of the task.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The paused clock at one moment.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Asserts that no timer had to fire since.
    #[track_caller]
    pub(crate) fn assert_still(&self) {
        assert_eq!(Instant::now(), self.0, "the clock moved: something waited for a timer");
    }

    /// Asserts that the clock stands `after` the start, up to the 1 ms that Tokio's timers are exact to.
    #[track_caller]
    pub(crate) fn assert_at(&self, after: Duration) {
        let passed = self.0.elapsed();
        assert!(passed >= after && passed <= after + Duration::from_millis(2), "{passed:?} is not {after:?}");
    }
}

/// A place where runs wait until they are let through, and that counts them.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Counts>);

struct Counts {
    permits: Semaphore,
    entered: AtomicUsize,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    dropped: AtomicUsize,
}

/// Tells what became of a run, also where its future is dropped.
struct Visit<'a> {
    counts: &'a Counts,
    through: bool,
}

impl Gate {
    /// A gate that lets nobody through yet.
    pub(crate) fn shut() -> Self {
        Self(Arc::new(Counts {
            permits: Semaphore::new(0),
            entered: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        }))
    }

    /// Waits here to be let through.
    pub(crate) async fn pass(&self) {
        self.0.entered.fetch_add(1, Ordering::SeqCst);
        let inside = self.0.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_inside.fetch_max(inside, Ordering::SeqCst);
        let mut visit = Visit { counts: &self.0, through: false };
        self.0.permits.acquire().await.expect("never closed").forget();
        visit.through = true;
    }

    pub(crate) fn let_through(&self, runs: usize) {
        self.0.permits.add_permits(runs);
    }

    pub(crate) fn open(&self) {
        self.let_through(1 << 20);
    }

    /// Runs that came here so far.
    pub(crate) fn entered(&self) -> usize {
        self.0.entered.load(Ordering::SeqCst)
    }

    /// Runs that wait here now.
    pub(crate) fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    /// The most that waited here at once.
    pub(crate) fn most_inside(&self) -> usize {
        self.0.most_inside.load(Ordering::SeqCst)
    }

    /// Runs that were dropped while they waited here.
    pub(crate) fn dropped(&self) -> usize {
        self.0.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.counts.inside.fetch_sub(1, Ordering::SeqCst);
        if !self.through {
            self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A number with options, so that every way of submitting can be told how to treat it.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) number: u64,
    pub(crate) options: RequestOptions,
}

impl Input for Ask {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }
}

pub(crate) fn ask(number: u64) -> Ask {
    Ask { number, options: RequestOptions::new() }
}

impl Ask {
    pub(crate) fn within(mut self, budget: Duration) -> Self {
        self.options = self.options.within(budget);
        self
    }

    pub(crate) fn priority(mut self, priority: Priority) -> Self {
        self.options = self.options.priority(priority);
        self
    }
}

/// Adds a stage that hands on what it takes, once `gate` lets it through.
pub(crate) fn gated<In, T>(
    builder: Builder<In, T>,
    name: &'static str,
    config: StageConfig,
    gate: &Gate,
) -> Builder<In, T>
where
    In: Input,
    T: Send + 'static,
{
    let gate = gate.clone();
    builder.then_with(name, config, move |_cx, value: T| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok::<_, BoxError>(value)
        }
    })
}

/// A pipeline of one stage, `work`, that waits at `gate`.
pub(crate) fn one_gated(config: StageConfig, gate: &Gate) -> Result<Pipeline<Ask, Ask>, BuildError> {
    gated(Pipeline::builder("one"), "work", config, gate).build()
}

/// Has callers wait at a full door, however long: most tests are not about what a door predicts.
pub(crate) fn patient() -> StageConfig {
    StageConfig::new().shed(ShedPolicy::Backpressure)
}

/// A pipeline that calls `worker` and streams.
pub(crate) fn streaming(
    worker: impl ModelWorker,
    stream: StreamStage,
) -> Result<Pipeline<PromptRequest, prompt_orchestrator::answer::Tokens>, BuildError> {
    prompts("tokens").stage_with(InferenceStage::new(worker), patient()).stage(stream).build()
}

/// Begins a pipeline that takes prompts.
pub(crate) fn prompts(name: &str) -> Builder<PromptRequest, PromptRequest> {
    Pipeline::builder(name)
}

/// Both ways of running a stage behind a queue, to be tested alike.
pub(crate) fn placements() -> [(&'static str, StageConfig); 2] {
    [("in task", StageConfig::new().queued()), ("spawned", StageConfig::new().spawned())]
}

/// Both ways of the tokens to the caller, to be tested alike; the buffer holds four events.
pub(crate) fn both_deliveries() -> [(&'static str, StreamStage); 2] {
    [("buffered", StreamStage::default().buffered(count(4))), ("direct", StreamStage::default().direct())]
}

pub(crate) fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("not zero")
}

pub(crate) fn slots(total: usize) -> Slots {
    Slots::new(count(total))
}

/// Asserts that nothing is inside and that every request ended exactly once.
#[track_caller]
pub(crate) fn assert_balanced(stats: &PipelineStats) {
    assert_eq!(stats.submitted, stats.refused + stats.withdrawn + stats.accepted, "{stats:#?}");
    assert_eq!(stats.accepted, stats.answered + stats.failed + stats.shed + stats.cancelled, "{stats:#?}");
    assert_eq!(stats.in_flight, 0, "{stats:#?}");
    assert!(stats.stages.iter().all(|stage| stage.depth == 0), "{stats:#?}");
}
