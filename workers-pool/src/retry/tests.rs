use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::{Attempt, Slots};
use tokio::time::Instant;

use super::Retry;
use crate::scripted::{ask, error, failing, read, request, scripted, seconds};
use crate::{Breaker, Pace};

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_first_event_is_asked_again() {
    let silent_stream = Script::new().streaming().delay(seconds(1)).fail(error(WorkerErrorKind::Overloaded));
    let cut = Script::new().streaming();
    let worker = scripted(vec![failing(), silent_stream, cut, Script::answering("to be")]);
    let retry = Retry::new(worker.clone());
    let asked = request();
    let (attempts, context) = (asked.attempts.clone(), asked.context.clone());
    let stream = retry.infer(asked).await.expect("answers");
    assert_eq!(read(stream).await.expect("whole"), "to be");
    let kinds: Vec<_> = attempts.all().iter().map(|attempt| attempt.kind).collect();
    assert_eq!(kinds, [WorkerErrorKind::Transient, WorkerErrorKind::Overloaded, WorkerErrorKind::StreamCut]);
    assert_eq!(attempts.all()[1].took, seconds(1));
    let notes = context.report().notes;
    assert_eq!(notes.len(), 3);
    assert!(notes[1].text.starts_with("attempt 2: mock failed after 1.000s"), "{notes:?}");
    assert_eq!((worker.stats().calls, retry.stats().retries), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_again_behind_the_first_event() {
    let worker = MockWorker::new(Script::answering("to be").cut_after(1));
    let stream = Retry::new(worker.clone()).infer(request()).await.expect("begins");
    assert_eq!(read(stream).await.expect("a cut stream just ends here"), "to ");
    assert_eq!(worker.stats().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn each_kind_is_asked_again_or_not() {
    use WorkerErrorKind as K;
    let again = [K::Transient, K::Overloaded, K::RateLimited, K::StreamCut, K::Timeout(Phase::FirstToken)];
    let never = [K::InvalidRequest, K::Auth, K::ContentFilter, K::NotFound, K::Protocol, K::Timeout(Phase::Total)];
    let of = again.map(|kind| (kind, 2)).into_iter().chain(never.map(|kind| (kind, 1)));
    for (kind, calls) in of.chain([(K::ContextLength { prompt_tokens: None, limit: Some(8) }, 1)]) {
        let worker = scripted(vec![Script::new().fail(error(kind)), Script::answering("to be")]);
        let answer = ask(&Retry::new(worker.clone())).await;
        assert_eq!(worker.stats().calls, calls, "{kind:?}");
        let answer = answer.map_err(|error| (error.kind(), error.message().to_owned()));
        let expected = if calls == 2 { Ok("to be".to_owned()) } else { Err((kind, "not now".to_owned())) };
        assert_eq!(answer, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_names_all_attempts_and_stays_what_it_was() {
    let limited = error(WorkerErrorKind::RateLimited).with_status(429).with_body("{}").with_retry_after(seconds(60));
    let worker = scripted(vec![failing(), Script::new().fail(limited)]);
    let failed = ask(&Retry::new(worker)).await.expect_err("who asks for a minute is not waited for");
    assert_eq!((failed.kind(), failed.status(), failed.body()), (WorkerErrorKind::RateLimited, Some(429), Some("{}")));
    assert_eq!(failed.retry_after(), Some(seconds(60)));
    assert!(failed.message().starts_with("2 attempts: mock failed after "), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn there_are_two_calls_at_first_and_six_in_all() {
    let calls: Arc<std::sync::Mutex<Vec<Instant>>> = Arc::default();
    let seen = calls.clone();
    let worker = MockWorker::with(move |_| {
        seen.lock().expect("not poisoned").push(Instant::now());
        failing()
    });
    ask(&Retry::new(worker)).await.expect_err("fails for ever");
    let calls = calls.lock().expect("not poisoned").clone();
    assert_eq!(calls.len(), 6);
    assert_eq!(calls.iter().filter(|at| **at - calls[0] < Duration::from_millis(1_500)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_asked_then() {
    let limited = error(WorkerErrorKind::RateLimited).with_retry_after(seconds(2));
    let worker = scripted(vec![Script::new().fail(limited), Script::answering("to be")]);
    let started = Instant::now();
    assert_eq!(ask(&Retry::new(worker)).await.expect("answers"), "to be");
    assert!(started.elapsed() >= seconds(2) && started.elapsed() <= Duration::from_millis(2_501));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_that_could_only_begin_after_the_deadline() {
    let limited = error(WorkerErrorKind::RateLimited).with_retry_after(seconds(2));
    let worker = MockWorker::new(Script::new().fail(limited));
    let started = Instant::now();
    let context = Context::standalone(RequestOptions::new().deadline(started + seconds(2)));
    let failed = Retry::new(worker.clone()).infer(InferenceRequest::new("?".into(), context)).await;
    assert_eq!(failed.expect_err("too late").kind(), WorkerErrorKind::RateLimited);
    assert_eq!((worker.stats().calls, started.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn retries_around_retries_do_not_multiply() {
    let worker = MockWorker::new(failing());
    let failed = ask(&Retry::new(Retry::new(Retry::new(worker.clone())))).await.expect_err("fails for ever");
    assert_eq!(worker.stats().calls, 6);
    assert_eq!(failed.message().matches("mock failed").count(), 6, "{failed}");
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_leaves_one_attempt_for_each_request() {
    let worker = MockWorker::new(failing());
    let retry =
        Retry::new(worker.clone()).budget(0.0).pace(Pace::new().attempts(2).backoff(Duration::ZERO, Duration::ZERO));
    for _ in 0..150 {
        ask(&retry).await.expect_err("fails");
    }
    // Ten a second, over ten seconds.
    assert_eq!((worker.stats().calls, retry.stats().retries, retry.stats().out_of_budget), (250, 100, 50));
}

#[tokio::test(start_paused = true)]
async fn a_budget_grows_with_the_requests() {
    let worker = MockWorker::new(failing());
    let retry = Retry::new(worker.clone()).pace(Pace::new().attempts(2).backoff(Duration::ZERO, Duration::ZERO));
    for _ in 0..1_000 {
        ask(&retry).await.expect_err("fails");
    }
    let retries = retry.stats().retries;
    assert!((299..=301).contains(&retries), "a hundred and one for five requests: {retries}");
}

/// Says of each of its failures that somebody else can be asked.
struct OneOfMany(MockWorker);

#[async_trait]
impl ModelWorker for OneOfMany {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let attempts = request.attempts.clone();
        self.0.infer(request).await.inspect_err(|error| {
            attempts.push(Attempt::new("mac", None, error, Duration::ZERO).elsewhere(true));
        })
    }
}

#[tokio::test(start_paused = true)]
async fn another_worker_is_asked_at_once_and_without_budget() {
    let calls = AtomicUsize::new(0);
    let worker = MockWorker::with(move |_| match calls.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => Script::new().fail(error(WorkerErrorKind::Auth)),
        _ => Script::answering("to be"),
    });
    let retry = Retry::new(OneOfMany(worker)).budget(0.0);
    let started = Instant::now();
    for _ in 0..200 {
        let asked = request();
        let attempts = asked.attempts.clone();
        let stream = retry.infer(asked).await.expect("the other answers");
        assert_eq!(read(stream).await.expect("whole"), "to be");
        assert_eq!(attempts.len(), 1, "who knows better has noted it already");
    }
    assert_eq!((started.elapsed(), retry.stats().retries), (Duration::ZERO, 200));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_during_the_pause_leaves_nothing() {
    let slots = Slots::new(std::num::NonZeroUsize::MIN);
    let limited = error(WorkerErrorKind::RateLimited).with_retry_after(seconds(20));
    let worker = MockWorker::new(Script::new().fail(limited)).slots(slots.clone());
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(Retry::new(worker.clone())))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    let answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
    tokio::time::sleep(seconds(1)).await;
    assert_eq!((worker.stats().calls, slots.free()), (1, 0));
    drop(answer);
    drop(tokio::time::timeout(seconds(1), slots.acquire()).await.expect("its slot is free"));
    assert_eq!(worker.stats().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_an_open_breaker_waits_for_the_probe() {
    let slots = Slots::new(std::num::NonZeroUsize::MIN);
    let worker = scripted([vec![failing(); 5], vec![Script::answering("to be")]].concat()).slots(slots.clone());
    let breaker = Breaker::new(worker.clone());
    for _ in 0..5 {
        ask(&breaker).await.expect_err("fails");
    }
    let started = Instant::now();
    assert_eq!(ask(&Retry::new(breaker)).await.expect("the probe answers"), "to be");
    assert!(started.elapsed() >= Duration::from_millis(800) && started.elapsed() <= Duration::from_millis(1_501));
    assert_eq!((worker.stats().calls, slots.free()), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn refusals_by_which_no_server_is_asked_are_waited_for_and_are_no_attempts() {
    let shut = |seconds_left| {
        let error = error(WorkerErrorKind::Overloaded).with_retry_after(seconds(seconds_left)).unsent();
        Script::new().fail(error)
    };
    let mut scripts = vec![shut(2); 10];
    scripts.push(Script::answering("to be"));
    let worker = scripted(scripts);
    let asked = request();
    let (attempts, started) = (asked.attempts.clone(), Instant::now());
    let stream = Retry::new(worker.clone()).infer(asked).await.expect("somebody takes it in the end");
    assert_eq!(read(stream).await.expect("whole"), "to be");
    assert!(attempts.is_empty() && worker.stats().calls == 11);
    assert!(started.elapsed() >= seconds(20) && started.elapsed() <= seconds(25), "{:?}", started.elapsed());

    let worker = scripted(vec![shut(2)]);
    let (asked, started) = (request(), Instant::now());
    let told = Retry::new(worker.clone()).infer(asked).await.expect_err("nobody ever takes it");
    assert_eq!((told.kind(), told.retry_after()), (WorkerErrorKind::Overloaded, Some(seconds(2))));
    assert!(started.elapsed() <= seconds(30) && started.elapsed() >= seconds(26), "{:?}", started.elapsed());
}
