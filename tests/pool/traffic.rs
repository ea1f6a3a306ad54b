//! Steady traffic while the primary is down for a minute, and while nobody ever comes back.

use std::time::Duration;

use futures_util::future::join_all;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::pool::BreakerState;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use prompt_orchestrator::worker::WorkerInfo;
use tokio::time::{Instant, sleep_until};

use crate::common::{assert_balanced, until};
use crate::fleet::{Actor, Fleet, Limits};
use crate::scripted::script;
use crate::story::{Act, whole};

/// Between one request and the next.
const EVERY: Duration = Duration::from_millis(100);

/// How long the primary is down, from the beginning on.
const DOWN: Duration = Duration::from_secs(60);

/// In this time it serves again.
const BACK: Duration = Duration::from_secs(30);

/// How long a call takes to fail, or an answer to begin: long enough for several requests to be there at once.
const CALL: Duration = Duration::from_millis(250);

/// By then a breaker has seen enough failures to be open.
const OPEN: Duration = Duration::from_secs(1);

fn acting(name: &str, act: impl Fn() -> Act + Send + Sync + 'static) -> Actor {
    Actor::new(WorkerInfo::new(name), move |_, request| script(Script::new().delay(CALL), act(), request))
}

/// Asks for answers at a steady rate; each comes with the time at which it was asked for.
async fn traffic<T>(requests: u32, ask: impl AsyncFn(Duration) -> T) -> Vec<(Duration, T)> {
    let started = Instant::now();
    let asked = (0..requests).map(async |number| {
        sleep_until(started + EVERY * number).await;
        (EVERY * number, ask(EVERY * number).await)
    });
    join_all(asked).await
}

/// Who answered, and how many failed before.
async fn whole_answer(fleet: &Fleet) -> Result<(String, usize), Error> {
    let mut answer = fleet.pipeline.submit(PromptRequest::new("?")).await?;
    assert_eq!(answer.text().await?, whole());
    let origin = answer.report().finish.and_then(|finish| finish.origin).expect("it says who answered");
    Ok((origin.worker, origin.failed.len()))
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_was_down_for_a_minute_is_probed_alone_and_serves_again() -> Result<(), Error> {
    let started = Instant::now();
    let primary = acting("primary", move || if started.elapsed() < DOWN { Act::Status(503) } else { Act::Answers });
    let fallback = acting("fallback", || Act::Answers);
    let fleet = Fleet::of(primary.clone(), fallback.clone(), Limits::in_life());

    let answers = traffic(1_200, async |_| whole_answer(&fleet).await).await;
    for (asked, answer) in answers {
        let (by, failed) = answer?;
        match asked {
            _ if asked < DOWN => assert!(by == "fallback" && failed <= 1, "asked at {asked:?}: {by}, {failed} failed"),
            _ if asked > DOWN + BACK => assert_eq!((by.as_str(), failed), ("primary", 0), "asked at {asked:?}"),
            _ => assert_eq!(failed, 0, "asked at {asked:?}"),
        }
    }
    let called: Vec<_> = primary.called().into_iter().map(|at| at.duration_since(started)).collect();
    let probes: Vec<_> = called.iter().copied().filter(|at| *at > OPEN && *at < DOWN).collect();
    let pauses: Vec<_> = probes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((5..=9).contains(&probes.len()), "probes at {probes:?}");
    assert!(pauses[0] > CALL && pauses.windows(2).take(3).all(|pair| pair[0] < pair[1]), "pauses: {pauses:?}");
    let back: Vec<_> = called.iter().copied().filter(|at| *at >= DOWN).collect();
    assert!(
        back[0] < DOWN + BACK && back[1] >= back[0] + CALL,
        "probed at {:?}, then called at {:?}",
        back[0],
        back[1]
    );

    until("nobody holds a slot", || fleet.is_idle()).await;
    let stats = &fleet.pool.stats().members[0];
    assert_eq!((stats.breaker.opened, stats.breaker.state), (1, BreakerState::Closed));
    assert_eq!(fleet.pipeline.stats().answered, 1_200);
    assert_balanced(&fleet.pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_books_balance_while_nobody_answers() {
    let (primary, fallback) = (acting("primary", || Act::Status(503)), acting("fallback", || Act::Status(503)));
    let fleet = Fleet::behind(StageConfig::new(), primary.clone(), fallback.clone(), Limits::in_life());

    let asked = traffic(600, async |_| {
        let prompt = PromptRequest::new("?").within(Duration::from_secs(5));
        match fleet.pipeline.submit(prompt).await {
            Ok(mut answer) => answer.text().await.expect_err("nobody answers"),
            Err(error) => error,
        }
    });
    let errors: Vec<Error> = asked.await.into_iter().map(|(_, error)| error).collect();
    until("nobody holds a slot", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;

    let refused = |error: &&Error| error.kind() == ErrorKind::Refused(RefuseReason::Unavailable);
    let unavailable: Vec<_> = errors.iter().filter(refused).collect();
    assert!(unavailable.len() > 400, "{} of {} were told at the door", unavailable.len(), errors.len());
    // While both are being probed nobody knows.
    let told: Vec<_> = unavailable.iter().filter_map(|error| error.retry_after()).collect();
    assert!(told.len() * 10 >= unavailable.len() * 9, "{} of {} say when", told.len(), unavailable.len());
    assert!(told.iter().all(|after| *after <= BACK), "{told:?}");
    let stats = fleet.pipeline.stats();
    assert_balanced(&stats);
    assert_eq!((stats.submitted, stats.answered), (600, 0));
    assert_eq!(stats.refused, errors.iter().filter(|error| error.is_refused()).count() as u64);
    assert_eq!(stats.shed, errors.iter().filter(|error| error.is_shed()).count() as u64);
    for (member, actor) in fleet.pool.stats().members.iter().zip([primary, fallback]) {
        let calls = actor.called().len() as u64;
        // A deadline that passes in a call is nobody's failure.
        let failed = calls - actor.stats().cancelled;
        assert_eq!((member.calls, member.failures, member.in_flight), (calls, failed, 0), "{}", member.name);
        assert!(calls < 30, "{} was called {calls} times in a minute", member.name);
        assert_ne!(member.breaker.state, BreakerState::Closed, "{}", member.name);
    }
}
