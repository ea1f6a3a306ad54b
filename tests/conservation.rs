//! Every request ends once, whatever callers, workers and stages do, and nothing of it is left.
//!
//! Eight tasks with up to 64 requests each submit 210,000 requests in all to small pipelines of every policy: they
//! leave at the door, in queues, while stages run and in mid-stream, cancel, detach, stall and set deadlines, while
//! stages and worker fail and panic. What became of each request is counted by the callers and by the worker, and
//! compared with what the pipeline counted.
//!
//! A failing run prints its seed; `CONSERVATION_SEED=n` runs the same choices again (not the same interleaving).

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::context::Permit;
use prompt_orchestrator::error::{InvalidInput, RefuseReason, ShedReason};
use prompt_orchestrator::pipeline::Builder;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::stats::PipelineStats;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

const CALLERS: u64 = 8;
const OUTSTANDING: usize = 64;
const SLOTS: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
/// Per policy: four ways of delivery, two ways to end.
const TOKEN_REQUESTS: u64 = 52_000;
/// Per policy: two ways to end.
const VALUE_REQUESTS: u64 = 18_000;
const TOO_LONG: Duration = Duration::from_secs(120);

#[test]
fn tokens_under_backpressure() {
    streams(ShedPolicy::Backpressure);
}

#[test]
fn tokens_where_newcomers_are_rejected() {
    streams(ShedPolicy::RejectNew);
}

#[test]
fn tokens_where_the_oldest_is_dropped() {
    streams(ShedPolicy::DropOldest);
}

#[test]
fn values_under_backpressure() {
    values(ShedPolicy::Backpressure);
}

#[test]
fn values_where_newcomers_are_rejected() {
    values(ShedPolicy::RejectNew);
}

#[test]
fn values_where_the_oldest_is_dropped() {
    values(ShedPolicy::DropOldest);
}

/// A request is withdrawn or let in, not both, however close the two come.
#[test]
fn callers_leave_as_they_are_let_in() {
    for _ in 0..4 {
        let run = Run::new("leaving", End::Quiet, 20_000);
        let pipeline = Pipeline::builder("door")
            .then_with("echo", StageConfig::new().depth(1).concurrency(1), |_cx, number: Number| async move {
                match number.value % 16 {
                    0 => Err("expected".into()),
                    _ => Ok::<_, BoxError>(number.value),
                }
            })
            .build();
        run.check(&pipeline.expect("builds"), None, |pipeline, mut rng| async move {
            let number = Number { value: rng.u64(1..1000), options: RequestOptions::new() };
            let patience = rng.u32(0..4);
            let entered = tokio::select! {
                biased;
                entered = pipeline.submit(number) => entered,
                () = yields(patience) => return Outcome::LeftAtDoor,
            };
            match entered.expect("there is no reason to refuse it").output().await {
                Ok(_) => Outcome::Answered,
                Err(error) => Outcome::inside(&error),
            }
        });
    }
}

fn streams(policy: ShedPolicy) {
    let buffered = StreamStage::default().buffered(NonZeroUsize::new(2).expect("not zero"));
    let direct = StreamStage::default().direct();
    let config = StageConfig::new;
    let ways = [
        ("buffered", &buffered, config()),
        ("buffered, spawned", &buffered, config().spawned().ordered()),
        ("direct", &direct, config()),
        ("direct, queued", &direct, config().queued().depth(4).shed(policy)),
    ];
    for (way, delivery, config) in ways {
        for end in [End::Quiet, End::Rush] {
            let run = Run::new(&format!("{policy:?}, {way}, {end:?}"), end, TOKEN_REQUESTS / 8);
            let slots = Slots::new(SLOTS);
            let seed = run.seed;
            let worker = MockWorker::with(move |request| script(request, seed)).slots(slots.clone());
            let delivery = delivery.clone().reader_stall(Duration::from_millis(3));
            let pipeline = token_builder(&worker, policy).stage_with(delivery, config.clone()).build();
            run.check(&pipeline.expect("builds"), Some((&worker, &slots)), prompt_life);
        }
    }
}

fn values(policy: ShedPolicy) {
    for end in [End::Quiet, End::Rush] {
        let run = Run::new(&format!("{policy:?}, values, {end:?}"), end, VALUE_REQUESTS / 2);
        run.check(&value_pipeline(policy).expect("builds"), None, number_life);
    }
}

/// What a caller knows of one of its requests.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Refused(RefuseReason),
    /// Dropped `submit` before it returned.
    LeftAtDoor,
    Answered,
    Failed,
    Shed(ShedReason),
    Cancelled,
    /// Dropped or detached the answer: it does not know how that ended.
    LeftInside,
}

impl Outcome {
    fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Refused(reason) => Self::Refused(reason),
            ErrorKind::Shed(reason) => Self::Shed(reason),
            ErrorKind::Cancelled | ErrorKind::ReaderStalled => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// Of a request that was let in.
    fn inside(error: &Error) -> Self {
        assert!(!error.is_refused(), "let in, then refused: {error:?}");
        Self::of(error)
    }
}

/// What all callers together know.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    submitted: u64,
    refused: [u64; RefuseReason::ALL.len()],
    left_at_door: u64,
    answered: u64,
    failed: u64,
    shed: [u64; ShedReason::ALL.len()],
    cancelled: u64,
    left_inside: u64,
}

impl Told {
    fn record(&mut self, outcome: Outcome) {
        self.submitted += 1;
        *match outcome {
            Outcome::Refused(reason) => &mut self.refused[place(&RefuseReason::ALL, reason)],
            Outcome::LeftAtDoor => &mut self.left_at_door,
            Outcome::Answered => &mut self.answered,
            Outcome::Failed => &mut self.failed,
            Outcome::Shed(reason) => &mut self.shed[place(&ShedReason::ALL, reason)],
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::LeftInside => &mut self.left_inside,
        } += 1;
    }

    fn add(&mut self, other: Self) {
        self.submitted += other.submitted;
        self.refused.iter_mut().zip(other.refused).for_each(|(a, b)| *a += b);
        self.left_at_door += other.left_at_door;
        self.answered += other.answered;
        self.failed += other.failed;
        self.shed.iter_mut().zip(other.shed).for_each(|(a, b)| *a += b);
        self.cancelled += other.cancelled;
        self.left_inside += other.left_inside;
    }

    /// Compares with what the pipeline counted.
    fn check(&self, stats: &PipelineStats) {
        assert_eq!(stats.in_flight, 0, "something is still inside");
        assert_eq!(stats.submitted, self.submitted, "submitted");
        assert_eq!(stats.submitted, stats.refused + stats.withdrawn + stats.accepted, "at the door");
        let ended = stats.answered + stats.failed + stats.shed + stats.cancelled;
        assert_eq!(stats.accepted, ended, "inside");
        // What a caller was told was counted as that; the rest of each count belongs to those that left.
        let beyond = |counted: u64, told: u64, what: &str| {
            counted.checked_sub(told).unwrap_or_else(|| panic!("{what}: counted {counted}, told {told}"))
        };
        let refused = stats.refused_by_reason.iter().map(|(reason, counted)| {
            beyond(*counted, self.refused[place(&RefuseReason::ALL, *reason)], reason.as_str())
        });
        let at_door = refused.sum::<u64>() + stats.withdrawn;
        let sheds = ShedReason::ALL.into_iter().zip(self.shed).map(|(reason, told)| {
            let by_reason = stats.stages.iter().flat_map(|s| &s.shed_by_reason);
            let counted = by_reason.filter(|(r, _)| *r == reason).map(|(_, n)| n).sum();
            beyond(counted, told, reason.as_str())
        });
        let inside = beyond(stats.answered, self.answered, "answered")
            + beyond(stats.failed, self.failed, "failed")
            + sheds.sum::<u64>()
            + beyond(stats.cancelled, self.cancelled, "cancelled");
        assert!(at_door <= self.left_at_door, "{at_door} ended at the door, {} left there", self.left_at_door);
        assert_eq!(at_door + inside, self.left_at_door + self.left_inside, "those that left");
        let sheds: u64 = stats.stages.iter().flat_map(|s| &s.shed_by_reason).map(|(_, n)| n).sum();
        assert_eq!(sheds, stats.shed, "sheds by stage and reason");
        let refusals: u64 = stats.refused_by_reason.iter().map(|(_, n)| n).sum();
        assert_eq!(refusals, stats.refused, "refusals by reason");
        assert!(stats.stages.iter().all(|s| s.depth == 0), "a queue is not empty");
        // A test in which some ending never happens would prove nothing of it.
        assert!(self.answered > 0 && self.failed > 0 && self.left_at_door + self.left_inside > 0);
    }
}

fn place<R: PartialEq + Copy>(all: &[R], reason: R) -> usize {
    all.iter().position(|r| *r == reason).expect("all are listed")
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Everything finishes by itself; then the pipeline drains.
    Quiet,
    /// The pipeline drains while callers still submit, and has no time for it.
    Rush,
}

struct Run {
    name: String,
    end: End,
    requests: u64,
    seed: u64,
}

impl Run {
    fn new(name: &str, end: End, requests: u64) -> Self {
        silence_expected_panics();
        let seed = std::env::var("CONSERVATION_SEED").ok().and_then(|s| s.parse().ok());
        Self { name: name.to_owned(), end, requests, seed: seed.unwrap_or_else(|| fastrand::u64(..)) }
    }

    /// Has the callers submit, each request living as `life` has it, and looks at what is left.
    fn check<In, Out, F, Fut>(self, pipeline: &Pipeline<In, Out>, worker: Option<(&MockWorker, &Slots)>, life: F)
    where
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

/// A caller's way through the door.
async fn enter<In: Input, Out: Send + 'static>(
    pipeline: &Pipeline<In, Out>,
    input: In,
    rng: &mut Rng,
) -> Result<Answer<Out>, Outcome> {
    let entered = match rng.u8(0..10) {
        0 => pipeline.try_submit(input),
        1..4 => {
            let patience = rng.u32(0..6);
            tokio::select! {
                biased;
                entered = pipeline.submit(input) => entered,
                () = yields(patience) => return Err(Outcome::LeftAtDoor),
            }
        }
        _ => pipeline.submit(input).await,
    };
    match entered {
        Ok(answer) => Ok(answer),
        Err(error) => {
            assert!(error.is_refused(), "not let in, and not refused: {error:?}");
            Err(Outcome::of(&error))
        }
    }
}

async fn yields(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Sessions, priorities and deadlines, of which some are hopeless.
fn options(rng: &mut Rng) -> RequestOptions {
    let options = RequestOptions::new().priority(Priority::ALL[rng.usize(0..3)]);
    match rng.u8(0..10) {
        0 => options.within(Duration::from_micros(rng.u64(0..200))),
        1 => options.within(Duration::from_micros(rng.u64(200..5_000))),
        2 => options.within(Duration::from_secs(3600)),
        _ => options,
    }
}

/// Submits a prompt and reads, or does not read, its answer.
async fn prompt_life(pipeline: Pipeline<PromptRequest, Tokens>, mut rng: Rng) -> Outcome {
    let prompt = PromptRequest::new("?").options(options(&mut rng));
    let mut answer = match enter(&pipeline, prompt, &mut rng).await {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    // Either before there is anything to read, or in mid-stream.
    if rng.bool() {
        yields(rng.u32(0..8)).await;
    } else {
        for _ in 0..rng.u8(0..6) {
            match answer.next().await {
                Some(Ok(event)) if event.is_terminal() => return Outcome::Answered,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Outcome::inside(&error),
                None => panic!("neither answer nor error"),
            }
        }
    }
    match rng.u16(0..1000) {
        0..150 => Outcome::LeftInside,
        150..250 => {
            answer.detach();
            Outcome::LeftInside
        }
        250..350 => {
            answer.cancel();
            read(answer, 0).await
        }
        350..352 => {
            // Longer than the stage's patience.
            sleep(Duration::from_millis(6)).await;
            read(answer, 0).await
        }
        352..500 => read(answer, rng.u32(1..4)).await,
        _ => read(answer, 0).await,
    }
}

/// Reads to the end, with pauses.
async fn read(mut answer: Answer<Tokens>, pause: u32) -> Outcome {
    let mut finished = false;
    while let Some(event) = answer.next().await {
        assert!(!finished, "an event behind the last one");
        match event {
            Ok(event) => finished = event.is_terminal(),
            Err(error) => {
                assert!(answer.next().await.is_none(), "an event behind the error");
                return Outcome::inside(&error);
            }
        }
        yields(pause).await;
    }
    // Without an error it was answered, even where `cancel` came too late and took away what was not read.
    Outcome::Answered
}

/// What the worker does for a request: one of everything.
fn script(request: &InferenceRequest, seed: u64) -> Script {
    let mut rng = Rng::with_seed(seed ^ request.context.id().wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let transient = || WorkerError::new(WorkerErrorKind::Transient, "expected");
    let call = match rng.u8(0..10) {
        0 => Script::new().delay(Duration::from_micros(rng.u64(0..300))),
        1..4 => Script::new().yields(),
        _ => Script::new(),
    };
    let events = rng.u8(0..10);
    let stream = |script: Script| {
        (0..events)
            .fold(script.streaming(), |script, event| if event % 3 == 2 { script.yields() } else { script.text("t") })
    };
    match rng.u8(0..40) {
        0 => call.fail(transient()),
        1 => call.panic("expected: in infer"),
        2 => stream(call).fail(transient()),
        3 => stream(call).panic("expected: in the stream"),
        4 => stream(call),
        // Only what has a deadline comes back from there.
        5 if request.context.deadline().is_some_and(near) => call.hang(),
        6 if request.context.deadline().is_some_and(near) => stream(call).hang(),
        7 => stream(call).delay(Duration::from_micros(300)).finish(),
        _ => stream(call).finish(),
    }
}

fn near(deadline: tokio::time::Instant) -> bool {
    deadline < tokio::time::Instant::now() + Duration::from_millis(100)
}

/// Fails, panics, waits or goes on, as chance has it.
async fn trouble(rng: &mut Rng) -> Result<(), BoxError> {
    match rng.u8(0..60) {
        0 => return Err("expected".into()),
        1 => panic!("expected: in a stage"),
        2 => sleep(Duration::from_micros(rng.u64(0..500))).await,
        3..13 => yields(rng.u32(1..4)).await,
        _ => {}
    }
    Ok(())
}

/// Its own numbers for each request and stage.
fn chance(cx: &Context, stage: u64) -> Rng {
    Rng::with_seed(cx.id().wrapping_mul(31).wrapping_add(stage))
}

fn token_builder(worker: &MockWorker, policy: ShedPolicy) -> Builder<PromptRequest, TokenStream> {
    let small = StageConfig::new().shed(policy).depth(4);
    Pipeline::builder("conservation")
        .then_with("rag", small.clone().spawned().concurrency(8), |cx, prompt: PromptRequest| async move {
            trouble(&mut chance(&cx, 0)).await.map(|()| prompt)
        })
        .then_with("assemble", small.clone().ordered().concurrency(4), |cx, prompt: PromptRequest| async move {
            trouble(&mut chance(&cx, 1)).await.map(|()| InferenceRequest::new(prompt, cx))
        })
        .then_with("check", StageConfig::new().inline(), |cx, request: InferenceRequest| async move {
            trouble(&mut chance(&cx, 2)).await.map(|()| request)
        })
        .stage_with(InferenceStage::new(worker.clone()), StageConfig::new().shed(policy).depth(16))
        .then_with("late", small.concurrency(2), |cx, stream: TokenStream| async move {
            trouble(&mut chance(&cx, 3)).await.map(|()| stream)
        })
}

/// An input that carries its options and may be wrong.
#[derive(Debug)]
struct Number {
    value: u64,
    options: RequestOptions,
}

impl Input for Number {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }

    fn validate(&self) -> Result<(), InvalidInput> {
        if self.value == 0 { Err(InvalidInput::new("value", "must not be zero")) } else { Ok(()) }
    }
}

/// An output that keeps its place in the stage that made it.
type Held = (u64, Permit);

fn value_pipeline(policy: ShedPolicy) -> Result<Pipeline<Number, Held>, BuildError> {
    let small = StageConfig::new().shed(policy).depth(4);
    Pipeline::builder("conservation")
        .then_with("first", small.clone().concurrency(2), |cx, number: Number| async move {
            trouble(&mut chance(&cx, 0)).await.map(|()| (number.value, cx.hold_permit()))
        })
        .then_with("spawned", small.clone().spawned().timeout(Duration::from_millis(2)), |cx, held: Held| async move {
            let mut rng = chance(&cx, 1);
            trouble(&mut rng).await?;
            if rng.u8(0..50) == 0 {
                sleep(Duration::from_millis(4)).await;
            }
            Ok::<_, BoxError>(held.0)
        })
        .then_with("ordered", small.clone().ordered().concurrency(8), |cx, value: u64| async move {
            let mut rng = chance(&cx, 2);
            trouble(&mut rng).await?;
            if rng.u8(0..50) == 0 { Ok::<_, BoxError>(cx.offload(move || value).await?) } else { Ok(value) }
        })
        .then_with("inline", StageConfig::new().inline(), |cx, value: u64| async move {
            trouble(&mut chance(&cx, 3)).await.map(|()| value)
        })
        .then_with("last", small.concurrency(16).depth(8), |cx, value: u64| async move {
            trouble(&mut chance(&cx, 4)).await.map(|()| (value, cx.hold_permit()))
        })
        .build()
}

async fn number_life(pipeline: Pipeline<Number, Held>, mut rng: Rng) -> Outcome {
    let value = rng.u64(0..100);
    let number = Number { value, options: options(&mut rng) };
    let mut answer = match enter(&pipeline, number, &mut rng).await {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    let patience = rng.u32(0..12);
    match rng.u8(0..100) {
        0..25 => {
            yields(patience).await;
            Outcome::LeftInside
        }
        25..35 => {
            yields(patience).await;
            answer.detach();
            Outcome::LeftInside
        }
        35..50 => {
            yields(patience).await;
            answer.cancel();
            output(answer, value).await
        }
        50..60 => {
            let left = tokio::select! {
                biased;
                result = answer.output() => Some(result),
                () = yields(patience) => None,
            };
            left.map_or(Outcome::LeftInside, |result| told(result, value))
        }
        _ => output(answer, value).await,
    }
}

async fn output(mut answer: Answer<Held>, value: u64) -> Outcome {
    told(answer.output().await, value)
}

fn told(result: Result<Held, Error>, value: u64) -> Outcome {
    match result {
        Ok((output, _permit)) => {
            assert_eq!(output, value, "somebody else's answer");
            Outcome::Answered
        }
        Err(error) => Outcome::inside(&error),
    }
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
