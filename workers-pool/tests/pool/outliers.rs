use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::policy::{Ordered, RoundRobin, SessionAffinity, Weighted};
use workers_pool::{BreakerConfig, Member, MemberState, Pool};

use crate::common::{member, pool, request, slots, who};

/// A worker whose first token takes as many milliseconds as it is told.
fn taking() -> (MockWorker, Arc<AtomicU64>) {
    let ms = Arc::new(AtomicU64::new(200));
    let seen = ms.clone();
    let worker = MockWorker::with(move |_| {
        let delay = Duration::from_millis(seen.load(Ordering::SeqCst));
        Script::new().streaming().delay(delay).text("x").finish()
    });
    (worker, ms)
}

fn of(workers: &[MockWorker]) -> Pool {
    let never = BreakerConfig::new().in_a_row(u32::MAX).least_calls(u32::MAX);
    let names = ["a", "b", "c", "d"];
    let pool = pool(workers.iter().zip(names).map(|(worker, name)| Member::new(name, worker.clone()).breaker(never)));
    pool.set_policy(RoundRobin::new());
    pool
}

async fn ask(pool: &Pool, times: usize) {
    for _ in 0..times {
        drop(who(pool, request()).await);
    }
}

fn ejected(pool: &Pool) -> usize {
    pool.stats().members.iter().filter(|member| member.state == MemberState::Ejected).count()
}

#[tokio::test(start_paused = true)]
async fn who_is_much_slower_than_the_others_is_put_out_for_longer_each_time() {
    let (workers, slowness): (Vec<_>, Vec<_>) = (0..3).map(|_| taking()).unzip();
    let pool = of(&workers);
    ask(&pool, 60).await;
    assert_eq!(ejected(&pool), 0);
    slowness[1].store(1_100, Ordering::SeqCst);
    ask(&pool, 6).await;
    assert_eq!(member(&pool, "b").state, MemberState::Ejected);
    let before = member(&pool, "b").calls;
    let out = async |pool: &Pool| {
        let start = tokio::time::Instant::now();
        while member(pool, "b").state == MemberState::Ejected {
            ask(pool, 1).await;
        }
        start.elapsed()
    };
    let first = out(&pool).await;
    assert!(first <= Duration::from_millis(10_200) && first >= Duration::from_secs(8), "{first:?}");
    assert_eq!(member(&pool, "b").calls, before, "meanwhile it was not asked");
    while member(&pool, "b").state != MemberState::Ejected {
        ask(&pool, 1).await;
    }
    assert!(member(&pool, "b").calls >= before + 10, "it was judged by new calls");
    let second = out(&pool).await;
    assert!(second <= Duration::from_millis(20_200) && second >= Duration::from_secs(18), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn who_fails_much_more_often_than_the_others_is_put_out() {
    let (well, _) = taking();
    let calls = AtomicU64::new(0);
    let flaky = MockWorker::with(move |_| match calls.fetch_add(1, Ordering::SeqCst) % 5 {
        0 | 2 => Script::new()
            .delay(Duration::from_millis(200))
            .fail(WorkerError::new(WorkerErrorKind::Transient, "it fails")),
        _ => Script::new().streaming().delay(Duration::from_millis(200)).text("x").finish(),
    });
    let pool = of(&[well.clone(), well, flaky]);
    ask(&pool, 27).await;
    assert_eq!(ejected(&pool), 0, "nine calls say nothing");
    ask(&pool, 15).await;
    assert_eq!(member(&pool, "c").state, MemberState::Ejected);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_half_of_the_members_are_put_out() {
    for (members, most) in [(1, 0), (2, 1), (3, 1), (4, 2)] {
        let (workers, slowness): (Vec<_>, Vec<_>) = (0..members).map(|_| taking()).unzip();
        let pool = of(&workers);
        ask(&pool, 20 * members).await;
        let mut worst = 0;
        for slow in &slowness[1..] {
            slow.store(1_100, Ordering::SeqCst);
            for _ in 0..12 {
                ask(&pool, 1).await;
                worst = worst.max(ejected(&pool));
            }
        }
        assert_eq!(worst, most, "of {members}");
    }
}

/// Takes so long to its first token.
fn after(ms: u64) -> MockWorker {
    MockWorker::new(Script::new().streaming().delay(Duration::from_millis(ms)).text("x").finish())
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_nobody_asks_any_more_is_not_a_fast_one() {
    let pool = pool([Member::new("own", after(600).slots(slots(4))), Member::new("cloud", after(500))]);
    pool.set_policy(Ordered::new());
    join_all((0..20).map(|_| who(&pool, request()))).await;
    assert_eq!(member(&pool, "cloud").calls, 16, "what own has no room for goes there");
    for _ in 0..80 {
        assert_eq!(who(&pool, request()).await.expect("answered"), "own");
    }
}

#[tokio::test(start_paused = true)]
async fn the_home_of_the_only_busy_session_is_not_put_out() {
    let pool = pool([Member::new("a", after(600)), Member::new("b", after(600))]);
    pool.set_policy(SessionAffinity::new());
    let of = |session: &str| {
        let options = RequestOptions::new().session(session);
        InferenceRequest::new(PromptRequest::new("?"), Context::standalone(options))
    };
    for session in 0..60 {
        who(&pool, of(&session.to_string())).await.expect("answered");
    }
    let home = who(&pool, of("busy")).await.expect("answered");
    for _ in 0..60 {
        assert_eq!(who(&pool, of("busy")).await.expect("answered"), home);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_the_smallest_share_is_judged_as_well() {
    let fast = |name| Member::new(name, after(200)).weight(5.0);
    let pool = pool([fast("a"), fast("b"), Member::new("slow", after(1_100))]);
    pool.set_policy(Weighted::new());
    ask(&pool, 77).await;
    assert_eq!((ejected(&pool), member(&pool, "slow").calls), (0, 7));
    ask(&pool, 55).await;
    assert_eq!(member(&pool, "slow").state, MemberState::Ejected);
}
