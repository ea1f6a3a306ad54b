use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Timeouts;
use workers_pool::policy::Ordered;
use workers_pool::{BreakerConfig, BreakerState, FailOver, Member, Pool, Retry};

use crate::common::{Told, answers, fails, finish, holds, member, of, pool, request, slots, who};

/// Fails at its first call, and answers all others.
fn hiccups() -> MockWorker {
    let calls = AtomicUsize::new(0);
    MockWorker::with(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Script::new().fail(WorkerError::new(WorkerErrorKind::Transient, "one 500")),
        _ => Script::answering("x"),
    })
}

/// Whose one slot is taken for ever.
async fn with_full(other: Member) -> (Pool, TokenStream) {
    let pool = pool([Member::new("full", holds().slots(slots(1))), other]);
    pool.set_policy(Ordered::new());
    let held = pool.infer(request()).await.expect("taken");
    (pool, held)
}

async fn in_time<T>(limit: u64, call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(limit), call).await.expect("it does not hang")
}

#[tokio::test(start_paused = true)]
async fn who_failed_once_is_asked_again_where_the_others_are_busy() {
    let (pool, _held) = with_full(Member::new("b", hiccups().slots(slots(4)))).await;
    let worker = FailOver::new(Retry::new(pool.clone()));
    assert_eq!(in_time(2, who(&worker, request())).await.expect("answered"), "b");
    assert_eq!(member(&pool, "b").calls, 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_by_a_member_whose_breaker_closes() {
    let touchy = BreakerConfig::new().in_a_row(1);
    let (pool, _held) = with_full(Member::new("b", hiccups().slots(slots(4))).breaker(touchy)).await;
    finish(&pool, request()).await.expect_err("it fails");
    assert!(matches!(member(&pool, "b").breaker.state, BreakerState::Open { .. }));
    assert_eq!(in_time(2, who(&pool, request())).await.expect("answered"), "b");
    assert_eq!(member(&pool, "b").breaker.state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_a_first_token_may_take() {
    let large = || Told { worker: holds().slots(slots(1)), info: WorkerInfo::new("mock").model("large") };
    let pool = pool([Member::new("large", large()), Member::new("small", answers("x"))]);
    let ask = |options| InferenceRequest::new(PromptRequest::new("?").model("large"), Context::standalone(options));
    pool.remove("small").expect("it is there");
    let _held = pool.infer(ask(RequestOptions::new())).await.expect("taken");
    let own = Timeouts::none().first_token(Duration::from_secs(3));
    for (options, limit) in [(RequestOptions::new(), 120), (RequestOptions::new().timeouts(own), 3)] {
        let started = tokio::time::Instant::now();
        let error = in_time(121, who(&pool, ask(options))).await.expect_err("nobody has room");
        assert_eq!(error.kind(), WorkerErrorKind::Timeout(Phase::FirstToken));
        assert_eq!(started.elapsed().as_secs(), limit);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_for_a_full_member_do_not_starve_the_others() {
    let told = |model: &str, worker| Told { worker, info: WorkerInfo::new("mock").model(model) };
    let small = answers("x").slots(slots(4));
    let pool = pool([
        Member::new("small", told("small", small)),
        Member::new("large", told("large", holds().slots(slots(1)))),
    ]);
    let pipeline = Pipeline::builder("test")
        .stage_with(InferenceStage::new(pool), StageConfig::new().shed(ShedPolicy::Backpressure))
        .stage(StreamStage::default())
        .build()
        .expect("it is whole");
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(pipeline.submit(PromptRequest::new("?").model("large")).await.expect("let in"));
    }
    let asks = async || pipeline.submit(PromptRequest::new("?").model("small")).await?.text().await;
    assert_eq!(in_time(1, asks()).await.expect("answered"), "x");
    let error = held.last_mut().expect("300").text().await.expect_err("too many wait");
    let cause = std::error::Error::source(&error).expect("the pool says why").to_string();
    assert!(cause.contains("64 calls wait for some already"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_wait_than_may() {
    let told = || Told { worker: holds().slots(slots(1)), info: WorkerInfo::new("mock").model("large") };
    let builder = Pool::builder("fleet").health_every(None).waiting(1);
    let pool = builder.member(Member::new("large", told())).build().expect("it is whole");
    let held = pool.infer(request()).await.expect("taken");
    let mut waits = Box::pin(pool.infer(of(PromptRequest::new("?"))));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut waits).await.is_err());
    let error = who(&pool, request()).await.expect_err("one waits already");
    assert_eq!(error.kind(), WorkerErrorKind::Overloaded);
    drop(waits);
    let mut waits = Box::pin(pool.infer(request()));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut waits).await.is_err(), "its place is free again");
    drop(held);
    in_time(1, waits).await.expect("taken");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_server_that_takes_nothing() {
    let server = slots(2);
    let pool = pool([Member::new("a", answers("x").slots(server.clone()))]);
    server.suspend(Duration::from_secs(60));
    let error = in_time(1, who(&pool, request())).await.expect_err("nobody takes it");
    assert_eq!((error.kind(), error.message()), (WorkerErrorKind::Overloaded, "no member takes requests now"));
    assert!(error.retry_after().is_some_and(|pause| pause.as_secs() >= 59), "{error:?}");
    server.resume();
    who(&pool, request()).await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_asked_again_waits_for_another_that_is_busy() {
    let (pool, held) = with_full(Member::new("b", fails(WorkerErrorKind::Protocol))).await;
    let worker = Retry::new(pool.clone());
    let mut late = Box::pin(worker.infer(request()));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut late).await.is_err());
    drop(held);
    in_time(1, late).await.expect("taken");
    assert_eq!((member(&pool, "full").calls, member(&pool, "b").calls), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_a_request_hold_at_members_without_any() {
    let pool = pool([Member::new("a", MockWorker::new(Script::new().hang()))]);
    let own = Timeouts::none().first_token(Duration::from_secs(1));
    let context = Context::standalone(RequestOptions::new().timeouts(own));
    let error = in_time(2, who(&pool, InferenceRequest::new("?".into(), context))).await.expect_err("it hangs");
    assert_eq!(error.kind(), WorkerErrorKind::Timeout(Phase::FirstToken));
}
