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
    assert_eq!(breaker.state(), BreakerState::HalfOpen, "it is over when its stream is");
    drop(stream);
    assert!(is_due(&breaker), "{breaker:?}");
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
