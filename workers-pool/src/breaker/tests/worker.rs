use orchestrator_core::error::Phase;
use tokio::time::Instant;

use super::*;

const EVERY_KIND: [WorkerErrorKind; 14] = [
    WorkerErrorKind::Transient,
    WorkerErrorKind::Overloaded,
    WorkerErrorKind::RateLimited,
    WorkerErrorKind::StreamCut,
    WorkerErrorKind::Protocol,
    WorkerErrorKind::Auth,
    WorkerErrorKind::Timeout(Phase::Connect),
    WorkerErrorKind::Timeout(Phase::FirstToken),
    WorkerErrorKind::Timeout(Phase::BetweenTokens),
    WorkerErrorKind::Timeout(Phase::Total),
    WorkerErrorKind::InvalidRequest,
    WorkerErrorKind::ContentFilter,
    WorkerErrorKind::NotFound,
    WorkerErrorKind::ContextLength { prompt_tokens: None, limit: None },
];

fn is_due(breaker: &Breaker<MockWorker>) -> bool {
    matches!(breaker.state(), BreakerState::Open { probe_at } if probe_at <= Instant::now())
}

#[tokio::test(start_paused = true)]
async fn the_callers_faults_do_not_open_it() {
    for kind in EVERY_KIND {
        let breaker = Breaker::new(MockWorker::new(Script::new().fail(error(kind))));
        open(&breaker, 5).await;
        let faults_of_callers = [
            WorkerErrorKind::Timeout(Phase::Total),
            WorkerErrorKind::InvalidRequest,
            WorkerErrorKind::ContentFilter,
            WorkerErrorKind::NotFound,
            WorkerErrorKind::ContextLength { prompt_tokens: None, limit: None },
        ];
        let closed = breaker.state() == BreakerState::Closed;
        assert_eq!(closed, faults_of_callers.contains(&kind), "{kind:?}: {breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_one_refuses_and_says_until_when() {
    let worker = MockWorker::new(failing());
    let breaker = Breaker::new(worker.clone());
    open(&breaker, 5).await;
    let BreakerState::Open { probe_at } = breaker.state() else { panic!("{breaker:?}") };
    let refused = ask(&breaker).await.expect_err("open");
    assert_eq!(refused.kind(), WorkerErrorKind::Overloaded);
    assert_eq!(refused.retry_after(), Some(probe_at - Instant::now()));
    assert!(refused.message().contains("`mock`"), "{refused}");
    assert_eq!((worker.stats().calls, breaker.stats().opened), (5, 1));
    tokio::time::sleep_until(probe_at).await;
    assert!(is_due(&breaker));
    ask(&breaker).await.expect_err("the probe fails");
    assert_eq!((worker.stats().calls, is_due(&breaker)), (6, false));
}

#[tokio::test(start_paused = true)]
async fn streams_that_fail_in_the_middle_count() {
    for script in [
        Script::answering("a b c").cut_after(2),
        Script::new().streaming().text("a").fail(error(WorkerErrorKind::Protocol)),
    ] {
        let breaker = Breaker::new(MockWorker::new(script));
        for _ in 0..5 {
            let mut stream = breaker.infer(request()).await.expect("it begins");
            while let Some(Ok(_)) = stream.next().await {}
        }
        assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_a_hundred_calls_is_the_probe() {
    let mut scripts = vec![failing(); 5];
    scripts.push(Script::new().delay(seconds(3)).streaming().text("back").finish());
    let worker = scripted(scripts);
    let breaker = Arc::new(Breaker::new(worker.clone()));
    open(&*breaker, 5).await;
    tokio::time::sleep(seconds(1)).await;
    let calls = (0..100).map(|_| {
        let breaker = breaker.clone();
        tokio::spawn(async move { ask(&*breaker).await })
    });
    let answers = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
    let answered = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(text)) if text == "back")).count();
    assert_eq!((answered, worker.stats().calls), (1, 6));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_lets_the_next_call_probe_at_once() {
    let mut scripts = vec![failing(); 5];
    scripts.extend([Script::new().hang(), Script::answering("a b"), Script::answering("back")]);
    let breaker = Breaker::new(scripted(scripts));
    open(&breaker, 5).await;
    tokio::time::sleep(seconds(1)).await;
    let gave_up = tokio::time::timeout(seconds(1), ask(&breaker)).await;
    assert!(gave_up.is_err() && is_due(&breaker), "{breaker:?}");
    let mut stream = breaker.infer(request()).await.expect("the next probe");
    stream.next().await.expect("an event").expect("of the answer");
    assert_eq!(breaker.state(), BreakerState::Closed, "it answers");
    drop(stream);
    assert_eq!(ask(&breaker).await.expect("answers"), "back");
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn slow_answers_open_it() {
    let slow = Script::new().streaming().delay(seconds(3)).text("late").finish();
    let breaker = Breaker::with(MockWorker::new(slow), BreakerConfig::new().slow_call(seconds(2)).window(seconds(60)));
    for call in 0..5 {
        assert_eq!(breaker.state(), BreakerState::Closed, "after {call}");
        ask(&breaker).await.expect("answers");
    }
    assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{breaker:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_a_pause_rests_for_it() {
    let limited = error(WorkerErrorKind::RateLimited).with_retry_after(seconds(7));
    let worker = scripted(vec![Script::new().fail(limited), Script::answering("back")]);
    let breaker = Breaker::new(worker.clone());
    ask(&breaker).await.expect_err("limited");
    assert_eq!(breaker.state(), BreakerState::Resting { until: Instant::now() + seconds(7) });
    let refused = ask(&breaker).await.expect_err("it rests");
    assert_eq!(refused.retry_after(), Some(seconds(7)));
    tokio::time::sleep(seconds(7)).await;
    assert_eq!(ask(&breaker).await.expect("answers"), "back");
    assert_eq!((breaker.stats().opened, worker.stats().calls), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_left_alone() {
    let breaker = Arc::new(Breaker::new(MockWorker::new(Script::new().panic("of the worker"))));
    for _ in 0..5 {
        let breaker = breaker.clone();
        tokio::spawn(async move { ask(&*breaker).await }).await.expect_err("panics");
    }
    assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{breaker:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_nothing_but_its_end_may_be_slow_too() {
    let slow = Script::new().streaming().delay(seconds(3)).finish();
    let breaker = Breaker::with(MockWorker::new(slow), BreakerConfig::new().slow_call(seconds(2)).window(seconds(60)));
    for _ in 0..5 {
        ask(&breaker).await.expect("answers");
    }
    assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{breaker:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_of_the_probe_keeps_nobody_out() {
    let long = || Script::new().streaming().text("t").hang();
    let worker = scripted([vec![failing(); 5], vec![long(), Script::answering("back")]].concat());
    let breaker = Breaker::new(worker);
    open(&breaker, 5).await;
    tokio::time::sleep(seconds(1)).await;
    let mut probe = breaker.infer(request()).await.expect("the probe");
    probe.next().await.expect("an event").expect("of the answer");
    assert_eq!(ask(&breaker).await.expect("answers"), "back");
}

#[tokio::test(start_paused = true)]
async fn servers_that_die_in_mid_stream_are_asked_ever_less_often() {
    let dying = Script::new().streaming().text("a").fail(error(WorkerErrorKind::StreamCut));
    let breaker = Breaker::new(MockWorker::new(dying));
    open(&breaker, 5).await;
    for pause in [1_u64, 2, 4, 8] {
        let BreakerState::Open { probe_at } = breaker.state() else { panic!("{breaker:?}") };
        let most = seconds(pause);
        assert!(probe_at - Instant::now() <= most && probe_at - Instant::now() >= most * 4 / 5, "{pause}: {breaker:?}");
        tokio::time::sleep_until(probe_at).await;
        ask(&breaker).await.expect_err("it dies");
    }
    assert_eq!(breaker.stats().opened, 1);
}

fn within(time: Duration) -> InferenceRequest {
    let options = RequestOptions::new().deadline(Instant::now() + time);
    InferenceRequest::new("?".into(), Context::standalone(options))
}

/// Calls, and waits no longer than the request may.
async fn leave_at_the_deadline(breaker: &impl ModelWorker, time: Duration) {
    let request = within(time);
    let answer = async {
        let mut stream = breaker.infer(request).await.expect("calls");
        while stream.next().await.is_some() {}
    };
    assert!(tokio::time::timeout(time, answer).await.is_err(), "there is no whole answer");
}

#[tokio::test(start_paused = true)]
async fn silence_until_the_deadline_is_a_failure() {
    for script in [Script::new().hang(), Script::new().streaming().hang()] {
        let breaker = Breaker::new(MockWorker::new(script));
        for _ in 0..5 {
            assert_eq!(breaker.state(), BreakerState::Closed);
            leave_at_the_deadline(&breaker, seconds(30)).await;
        }
        assert!(matches!(breaker.state(), BreakerState::Open { .. }), "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_otherwise_says_nothing_of_the_worker() {
    let breaker = Breaker::new(MockWorker::new(Script::new().hang()));
    for _ in 0..20 {
        let left = tokio::time::timeout(seconds(20), breaker.infer(within(seconds(30)))).await;
        assert!(left.is_err(), "before its deadline");
        leave_at_the_deadline(&breaker, Duration::from_millis(900)).await;
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    let breaker = Breaker::new(MockWorker::new(Script::new().streaming().text("t").hang()));
    for _ in 0..20 {
        leave_at_the_deadline(&breaker, seconds(30)).await;
    }
    assert_eq!(breaker.state(), BreakerState::Closed, "it answered");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_left_because_it_is_slow_is_slow() {
    let config = BreakerConfig::new().slow_call(seconds(1)).window(seconds(60));
    for (after, opens) in [(seconds(10), true), (seconds(1), false)] {
        let breaker = Breaker::with(MockWorker::new(Script::new().hang()), config);
        for _ in 0..5 {
            assert!(tokio::time::timeout(after, ask(&breaker)).await.is_err());
        }
        assert_eq!(matches!(breaker.state(), BreakerState::Open { .. }), opens, "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_nothing_is_a_failure() {
    for (millis, opens) in [(0, true), (99, true), (100, false)] {
        let limited = error(WorkerErrorKind::RateLimited).with_retry_after(Duration::from_millis(millis));
        let breaker = Breaker::new(MockWorker::new(Script::new().fail(limited)));
        for _ in 0..5 {
            ask(&breaker).await.expect_err("limited");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(matches!(breaker.state(), BreakerState::Open { .. }), opens, "{millis} ms: {breaker:?}");
    }
}
