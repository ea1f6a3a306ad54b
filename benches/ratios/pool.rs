//! What a pool adds to a call of a worker: two members with a choice by load, limits by phase and breakers, and retries around
//! them, beside the bare worker; nanoseconds of the thread's processor time for each request, and for each token of a stream. And
//! what a choice alone takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use prompt_orchestrator::context::Context;
use prompt_orchestrator::pool::policy::{
    Ask, Candidate, Cheapest, LeastOutstanding, Ordered, PeakEwma, Policy, RoundRobin, SessionAffinity, Weighted,
};
use prompt_orchestrator::pool::{Member, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::worker::Timeouts;
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
#[derive(Clone, Copy)]
struct NoOp {
    tokens: usize,
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
}

fn pool(worker: NoOp) -> Retry<Pool> {
    let limits = Timeouts::default().first_token(Duration::from_secs(10)).between_tokens(Duration::from_secs(10));
    let member = |name: &str| Member::new(name, worker).timeouts(limits);
    let pool = Pool::builder("bench").member(member("one")).member(member("other")).policy(PeakEwma::new());
    Retry::new(pool.health_every(None).build().expect("the members are sound"))
}

/// Nanoseconds of the thread's processor time for a call and its whole stream, over many of them.
fn per_call(runtime: &Runtime, time: Duration, worker: &impl ModelWorker, batch: usize) -> f64 {
    runtime.block_on(async {
        let (started, before, mut calls) = (Instant::now(), cpu().expect("it was there before"), 0);
        while started.elapsed() < time {
            for _ in 0..batch {
                let request =
                    InferenceRequest::new(PromptRequest::new("?"), Context::standalone(RequestOptions::new()));
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
fn compare(harness: &mut Harness, name: &str, goal: Goal, tokens: usize, parts: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bare = NoOp { tokens };
    let pool = pool(bare);
    let (time, batch) = (harness.round_time(), if tokens > 0 { 1 } else { BATCH });
    let pairs = harness.pairs(|| per_call(&runtime, time, &bare, batch), || per_call(&runtime, time, &pool, batch));
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
        compare(harness, "pool/request", Goal::AtMost(1_500.0), 0, 1);
    }
    if harness.wants("pool/token") {
        compare(harness, "pool/token", Goal::AtMost(60.0), TOKENS, TOKENS);
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
