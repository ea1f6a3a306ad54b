//! What a pool adds to a call of a worker: two members with a choice by load, limits by phase and breakers, and retries around
//! them, beside the bare worker; nanoseconds of the thread's processor time for each request, and for each token of a stream.
//! And what a choice alone takes.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use prompt_orchestrator::context::Context;
use prompt_orchestrator::pool::policy::{
    Ask, Candidate, Cheapest, LeastOutstanding, Ordered, PeakEwma, Policy, RoundRobin, SessionAffinity, Weighted,
};
use prompt_orchestrator::pool::{Member, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::worker::{Lease, Timeouts};
use tokio::runtime::Runtime;

use crate::harness::{Goal, Harness, median};
use crate::worker::cpu;

/// Of an answer of which tokens are measured.
const TOKENS: usize = 4_096;

/// Calls between two looks at the clock.
const BATCH: usize = 64;

/// Choices between two looks at the clock.
const CHOICES: usize = 10_000;

/// A worker that says so many tokens, all there when they are asked for.
#[derive(Clone)]
struct NoOp {
    tokens: usize,
    slots: Option<Slots>,
}

impl NoOp {
    fn new(tokens: usize, slots: Option<usize>) -> Self {
        Self { tokens, slots: slots.and_then(NonZeroUsize::new).map(Slots::new) }
    }
}

#[async_trait]
impl ModelWorker for NoOp {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let (mut sent, tokens) = (0, self.tokens);
        let events = futures_util::stream::poll_fn(move |_| {
            sent += 1;
            std::task::Poll::Ready(match sent {
                sent if sent <= tokens => Some(Ok(TokenEvent::text_delta(" token"))),
                sent if sent == tokens + 1 => {
                    Some(Ok(TokenEvent::finish(FinishReason::Stop, Usage::new(1, tokens as u64))))
                }
                _ => None,
            })
        });
        Ok(TokenStream::from_stream(events))
    }

    fn slots(&self) -> Option<Slots> {
        self.slots.clone()
    }
}

fn pool(worker: impl Fn() -> NoOp) -> Retry<Pool> {
    let limits = Timeouts::default().first_token(Duration::from_secs(10)).between_tokens(Duration::from_secs(10));
    let member = |name: &str| Member::new(name, worker()).timeouts(limits);
    let pool = Pool::builder("bench").member(member("one")).member(member("other")).policy(PeakEwma::new());
    Retry::new(pool.health_every(None).build().expect("the members are sound"))
}

/// Nanoseconds of the thread's processor time for a call and its whole stream, over many of them; with a slot, as a pipeline
/// takes it, where there are `slots`.
fn per_call(runtime: &Runtime, time: Duration, worker: &impl ModelWorker, slots: Option<&Slots>, batch: usize) -> f64 {
    runtime.block_on(async {
        let (started, before, mut calls) = (Instant::now(), cpu().expect("it was there before"), 0);
        while started.elapsed() < time {
            for _ in 0..batch {
                let mut request =
                    InferenceRequest::new(PromptRequest::new("?"), Context::standalone(RequestOptions::new()));
                let slot = slots.and_then(Slots::try_acquire);
                request.lease = slot.as_ref().map(Lease::of).unwrap_or_default();
                let mut stream = worker.infer(request).await.expect("it answers");
                while let Some(event) = stream.next().await {
                    black_box(event.expect("it goes on"));
                }
            }
            calls += batch;
        }
        (cpu().expect("it was there before") - before).as_nanos() as f64 / calls as f64
    })
}

/// Prints what the pool adds, in nanoseconds, divided by `parts`.
fn compare(harness: &mut Harness, name: &str, goal: Goal, tokens: usize, slots: Option<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bare = NoOp::new(tokens, slots);
    let pool = pool(|| NoOp::new(tokens, slots));
    let parts = tokens.max(1);
    let of = |worker: &dyn ModelWorker| slots.and_then(|_| worker.slots());
    let (bare_slots, pool_slots) = (of(&bare), of(&pool));
    let (time, batch) = (harness.round_time(), if tokens > 0 { 1 } else { BATCH });
    let pairs = harness.pairs(
        || per_call(&runtime, time, &bare, bare_slots.as_ref(), batch),
        || per_call(&runtime, time, &pool, pool_slots.as_ref(), batch),
    );
    let mut alone: Vec<f64> = pairs.iter().map(|(bare, _)| bare / parts as f64).collect();
    harness.line(&format!("{name}, bare ns"), median(&mut alone), Goal::None, pairs.len());
    harness.ratio(&format!("{name}, ns added"), goal, pairs.iter().map(|(bare, pool)| (pool - bare) / parts as f64));
}

/// Prints how long a choice among eight takes, in nanoseconds.
fn choice(harness: &mut Harness, policy: &dyn Policy) {
    let names: Vec<String> = (0..8).map(|number| format!("server-{number}")).collect();
    let measured = Duration::from_millis(120);
    let candidates: Vec<_> =
        (0..).zip(&names).map(|(id, name)| Candidate::new(id, name).busy(2, 8).first_token(measured)).collect();
    let ask = Ask::new().session("anna");
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..CHOICES {
                black_box(policy.choose(black_box(&ask), black_box(&candidates)));
            }
            started.elapsed().as_nanos() as f64 / CHOICES as f64
        })
        .collect();
    let rounds_taken = rounds.len();
    harness.line(&format!("pool/choice {} ns", policy.name()), median(&mut rounds), Goal::AtMost(500.0), rounds_taken);
}

pub(crate) fn run(harness: &mut Harness) {
    if cpu().is_none() {
        println!("the system does not tell the processor time of a thread: no figures of pools");
        return;
    }
    if harness.wants("pool/request") {
        compare(harness, "pool/request", Goal::AtMost(1_500.0), 0, None);
    }
    if harness.wants("pool/slots") {
        compare(harness, "pool/slots", Goal::None, 0, Some(64));
    }
    if harness.wants("pool/token") {
        compare(harness, "pool/token", Goal::AtMost(60.0), TOKENS, None);
    }
    if harness.wants("pool/choice") {
        let policies: [&dyn Policy; 7] = [
            &RoundRobin::new(),
            &Weighted::new(),
            &LeastOutstanding::new(),
            &PeakEwma::new(),
            &SessionAffinity::new(),
            &Ordered::new(),
            &Cheapest::within(Duration::from_secs(1)),
        ];
        policies.into_iter().for_each(|policy| choice(harness, policy));
    }
}
