use std::time::Duration;

use orchestrator_core::error::{Phase, RefuseReason, WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::policy::{Ordered, RoundRobin};
use workers_pool::{BreakerConfig, BreakerState, FailOver, Member, Retry};

use crate::common::{answers, fails, finish, member, pool, request, slots, who};

type Kind = WorkerErrorKind;

/// Opens at the first failure, for 10 s less a fifth at most.
fn touchy() -> BreakerConfig {
    BreakerConfig::new().in_a_row(1).pauses(Duration::from_secs(10), Duration::from_secs(10))
}

/// Fails, and answers once it is told to.
fn healing() -> (MockWorker, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let healed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = healed.clone();
    let worker = MockWorker::with(move |_| match seen.load(std::sync::atomic::Ordering::SeqCst) {
        true => Script::new().streaming().delay(Duration::from_secs(1)).text("x").finish(),
        false => Script::new().fail(WorkerError::new(Kind::Transient, "it fails")),
    });
    (worker, healed)
}

#[tokio::test(start_paused = true)]
async fn with_all_breakers_open_the_error_says_when_the_first_is_probed() {
    let pool = pool([
        Member::new("a", fails(Kind::Transient)).breaker(touchy()),
        Member::new("b", fails(Kind::Transient)).breaker(BreakerConfig::new().in_a_row(1)),
    ]);
    for _ in 0..2 {
        finish(&pool, request()).await.expect_err("it fails");
    }
    let error = finish(&pool, request()).await.expect_err("nobody is asked");
    assert_eq!((error.kind(), error.message()), (Kind::Overloaded, "no member takes requests now"));
    let pause = error.retry_after().expect("it is known");
    assert!(pause <= Duration::from_secs(1) && pause >= Duration::from_millis(800), "{pause:?}");
    assert_eq!(pool.stats().members.iter().map(|member| member.calls).sum::<u64>(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_probe_is_one_request_and_the_others_go_elsewhere() {
    let (worker, healed) = healing();
    let pool = pool([Member::new("sick", worker).breaker(touchy()), Member::new("well", answers("x"))]);
    pool.set_policy(Ordered::new());
    finish(&pool, request()).await.expect_err("it fails");
    assert_eq!(who(&pool, request()).await.expect("answered"), "well");
    tokio::time::sleep(Duration::from_secs(10)).await;
    healed.store(true, std::sync::atomic::Ordering::SeqCst);
    let asked = futures_util::future::join_all((0..50).map(|_| who(&pool, request()))).await;
    let probes = asked.into_iter().filter(|who| who.as_deref().is_ok_and(|who| who == "sick")).count();
    assert_eq!(probes, 1);
    assert_eq!(member(&pool, "sick").breaker.state, BreakerState::Closed);
    assert_eq!(who(&pool, request()).await.expect("answered"), "sick");
}

#[tokio::test(start_paused = true)]
async fn a_door_in_front_of_open_breakers_refuses_as_unavailable() {
    let member = |name| Member::new(name, fails(Kind::Transient).slots(slots(4))).breaker(touchy());
    let pool = pool([member("a"), member("b")]);
    pool.set_policy(RoundRobin::new());
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(pool.clone()))
        .stage(StreamStage::default())
        .build()
        .expect("whole");
    for _ in 0..2 {
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        answer.text().await.expect_err("it fails");
    }
    let error = pipeline.submit(PromptRequest::new("?")).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Unavailable));
    let pause = error.retry_after().expect("it is known");
    assert!(pause >= Duration::from_secs(8) && pause <= Duration::from_secs(12), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_is_asked_again_only_if_nobody_else_is_there() {
    let silent = || fails(Kind::Timeout(Phase::FirstToken));
    let pool = pool([Member::new("silent", silent()), Member::new("failing", fails(Kind::Transient))]);
    pool.set_policy(Ordered::new());
    let first = request();
    let asked: Vec<_> = (0..4).map(|_| first.clone()).collect();
    for request in asked {
        finish(&pool, request).await.expect_err("it fails");
    }
    let names: Vec<_> = first.attempts.all().into_iter().map(|attempt| attempt.worker).collect();
    assert_eq!(names, ["silent", "failing", "failing", "failing"]);
    pool.remove("failing").expect("it is there");
    assert_eq!(finish(&pool, first).await.expect_err("it is silent").kind(), Kind::Timeout(Phase::FirstToken));
}

#[tokio::test(start_paused = true)]
async fn a_silent_member_is_noticed_though_every_request_has_a_deadline() {
    let silent = MockWorker::new(Script::new().hang());
    let pool = pool([Member::new("silent", silent.clone()), Member::new("well", answers("x"))]);
    pool.set_policy(Ordered::new());
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(FailOver::new(Retry::new(pool.clone()))))
        .stage(StreamStage::default())
        .build()
        .expect("whole");
    let mut answered = 0;
    for _ in 0..50 {
        let request = PromptRequest::new("?").within(Duration::from_secs(30));
        let mut answer = pipeline.submit(request).await.expect("let in");
        answered += usize::from(answer.text().await.is_ok());
    }
    assert_eq!((answered, silent.stats().calls), (45, 5));
}

#[tokio::test(start_paused = true)]
async fn how_long_a_member_was_silent_is_known_though_it_never_answered() {
    let pool = pool([Member::new("silent", MockWorker::new(Script::new().hang()))]);
    let left = tokio::time::timeout(Duration::from_secs(2), finish(&pool, request())).await;
    assert!(left.is_err(), "nobody answers");
    assert_eq!(member(&pool, "silent").first_token, Some(Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn tokens_beyond_all_measure_do_not_overflow() {
    let most = Usage::new(u64::MAX, u64::MAX);
    let worker = MockWorker::new(Script::new().streaming().event(TokenEvent::finish(FinishReason::Stop, most)));
    let pool = pool([Member::new("a", worker)]);
    for _ in 0..2 {
        finish(&pool, request()).await.expect("answers");
    }
    assert_eq!(member(&pool, "a").usage.completion_tokens, u64::MAX);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_are_limited_the_one_that_is_back_first_is_waited_for() {
    let limited = |seconds| {
        let error = WorkerError::new(Kind::RateLimited, "429").with_retry_after(Duration::from_secs(seconds));
        let calls = std::sync::atomic::AtomicUsize::new(0);
        MockWorker::with(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Script::new().fail(error.clone()),
            _ => Script::answering("x"),
        })
    };
    for other in [20, 60] {
        let pool = pool([Member::new("a", limited(2)), Member::new("b", limited(other))]);
        pool.set_policy(Ordered::new());
        let started = tokio::time::Instant::now();
        assert_eq!(who(&Retry::new(pool), request()).await.expect("answered"), "a");
        assert!(started.elapsed() >= Duration::from_secs(2) && started.elapsed() <= Duration::from_millis(2_501));
    }
}

#[tokio::test(start_paused = true)]
async fn who_said_no_is_not_asked_again() {
    let worker = fails(Kind::Auth);
    let pool = pool([Member::new("a", worker.clone()), Member::new("b", fails(Kind::Protocol))]);
    pool.set_policy(Ordered::new());
    let error = finish(&Retry::new(pool.clone()), request()).await.expect_err("nobody answers");
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.message().starts_with("2 attempts: a failed after"), "{error}");
    let first = request();
    let (second, third) = (first.clone(), first.clone());
    finish(&pool, first).await.expect_err("a");
    finish(&pool, second).await.expect_err("b");
    let error = finish(&pool, third).await.expect_err("nobody is left");
    assert_eq!((error.kind(), error.message()), (Kind::Protocol, "nobody else could answer: it fails"));
    assert_eq!(worker.stats().calls, 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_in_the_middle_is_an_attempt_of_its_member() {
    let cut = MockWorker::new(Script::answering("to be or").cut_after(2));
    let pool = pool([Member::new("cut", cut), Member::new("b", answers("x"))]);
    pool.set_policy(Ordered::new());
    let request = request();
    let attempts = request.attempts.clone();
    finish(&pool, request).await.expect_err("it is cut");
    let attempt = attempts.last().expect("noted");
    assert_eq!(
        (attempt.worker.as_str(), attempt.kind, attempt.begun, attempt.elsewhere),
        ("cut", Kind::StreamCut, true, true)
    );
    assert_eq!(member(&pool, "cut").in_flight, 0);
}
