use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::{Health, HealthStatus, Lease, Load};
use workers_pool::policy::Ordered;
use workers_pool::{BreakerConfig, BreakerState, Member, MemberState, Pool, Retry};

use crate::common::{answers, fails, finish, member, request, slots, who};

/// A worker that says how it is, as it is told.
#[derive(Clone)]
struct Patient {
    worker: MockWorker,
    says: Arc<Mutex<Health>>,
    model: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Patient {
    fn new(worker: MockWorker) -> Self {
        Self {
            worker,
            says: Arc::new(Mutex::new(Health::ready())),
            model: Arc::default(),
            asked: Arc::default(),
            hangs: Arc::default(),
        }
    }

    fn says(&self, health: Health) {
        *self.says.lock().expect("not poisoned") = health;
    }
}

#[async_trait]
impl ModelWorker for Patient {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.worker.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        let info = WorkerInfo::new("patient");
        match &*self.model.lock().expect("not poisoned") {
            Some(model) => info.model(model),
            None => info,
        }
    }

    async fn health(&self) -> Health {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.says.lock().expect("not poisoned").clone()
    }
}

const EVERY: Duration = Duration::from_secs(5);

/// A pool of `a`, and of `b` behind it.
fn of(a: &Patient) -> Pool {
    let a = Member::new("a", a.clone()).breaker(BreakerConfig::new().in_a_row(1).pauses(60 * EVERY, 60 * EVERY));
    let builder = Pool::builder("fleet").member(a).member(Member::new("b", answers("x"))).policy(Ordered::new());
    builder.health_every(EVERY).build().expect("it is whole")
}

async fn asked_again(patient: &Patient) {
    let before = patient.asked.load(Ordering::SeqCst);
    while patient.asked.load(Ordering::SeqCst) == before {
        tokio::time::sleep(EVERY / 10).await;
    }
    tokio::time::sleep(EVERY / 10).await;
}

#[tokio::test(start_paused = true)]
async fn who_says_that_it_takes_nothing_is_left_alone_until_it_is_ready() {
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    assert_eq!(who(&pool, request()).await.expect("answered"), "a");
    a.says(Health::unavailable("it loads its model"));
    asked_again(&a).await;
    assert_eq!(member(&pool, "a").state, MemberState::Unavailable);
    assert_eq!(pool.slots().expect("it has some").total(), Member::IN_FLIGHT);
    a.says(Health::unknown());
    for _ in 0..10 {
        assert_eq!(who(&pool, request()).await.expect("answered"), "b");
        asked_again(&a).await;
    }
    a.says(Health::ready());
    asked_again(&a).await;
    assert_eq!(who(&pool, request()).await.expect("answered"), "a");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_in_time_stays_as_it_was() {
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    a.hangs.store(true, Ordering::SeqCst);
    who(&pool, request()).await.expect("answered");
    tokio::time::sleep(6 * EVERY).await;
    assert_eq!(member(&pool, "a").state, MemberState::Serving);
    assert!(a.asked.load(Ordering::SeqCst) >= 2, "it is asked all the same");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_ready_again_is_probed_at_once() {
    let a = Patient::new(fails(WorkerErrorKind::Transient));
    let pool = of(&a);
    finish(&pool, request()).await.expect_err("it fails");
    let open = |pool: &Pool| match member(pool, "a").breaker.state {
        BreakerState::Open { probe_at } => probe_at.saturating_duration_since(tokio::time::Instant::now()),
        other => panic!("it is {other:?}"),
    };
    asked_again(&a).await;
    assert!(open(&pool) > 30 * EVERY, "that it is ready is no news");
    for health in [Health::unavailable("it starts again"), Health::ready()] {
        a.says(health);
        asked_again(&a).await;
    }
    assert_eq!(open(&pool), Duration::ZERO);
    finish(&pool, request()).await.expect_err("the probe fails");
    assert_eq!(member(&pool, "a").calls, 2);
}

#[tokio::test(start_paused = true)]
async fn what_members_learn_of_themselves_is_known_after_the_next_round() {
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    who(&pool, request()).await.expect("answered");
    let ask = || {
        let mut request = request();
        request.model = Some("other".into());
        request
    };
    assert_eq!(who(&pool, ask()).await.expect("answered"), "a");
    *a.model.lock().expect("not poisoned") = Some("small".to_owned());
    asked_again(&a).await;
    assert_eq!(who(&pool, ask()).await.expect("answered"), "b");
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_as_well_as_its_best_member() {
    let (a, b) = (Patient::new(answers("x")), Patient::new(answers("x")));
    let pool = Pool::builder("fleet").member(Member::new("a", a.clone())).member(Member::new("b", b.clone()));
    let pool = pool.health_every(None).build().expect("it is whole");
    let mut load = Load::default();
    (load.running, load.slots) = (Some(2), Some(4));
    a.says(Health::ready().load(load));
    b.says(Health::unavailable("it is gone").load(load));
    let health = pool.health().await;
    assert_eq!((health.status, health.load.running, health.load.slots), (HealthStatus::Ready, Some(4), Some(8)));
    assert_eq!(member(&pool, "b").state, MemberState::Unavailable);
    a.says(Health::unavailable("it loads"));
    let health = pool.health().await;
    assert_eq!((health.status, health.reason.as_deref()), (HealthStatus::Unavailable, Some("it loads; it is gone")));
    let error = who(&pool, request()).await.expect_err("nobody takes it");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    who(&pool, request()).await.expect("what nobody says again is forgotten");
    a.says(Health::unknown());
    assert_eq!(pool.health().await.status, HealthStatus::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_task_that_asks_ends_with_the_pool() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    assert_eq!(tasks(), 0, "none before the first call");
    let stream = pool.infer(request()).await.expect("taken");
    let clone = pool.clone();
    who(&clone, request()).await.expect("answered");
    assert_eq!(tasks(), 1);
    drop(pool);
    tokio::task::yield_now().await;
    assert_eq!(tasks(), 1, "somebody holds it still");
    drop(clone);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), 0, "also while a stream goes on");
    drop(stream);
}

#[test]
fn the_task_starts_again_in_the_next_runtime() {
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    for round in 1..=3 {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            who(&pool, request()).await.expect("answered");
            while a.asked.load(Ordering::SeqCst) < round {
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(a.asked.load(Ordering::SeqCst), round);
    }
}

/// Answers as it does while its `/health` says all is well.
fn beside(sick: MockWorker, every: Option<Duration>) -> (Pool, Retry<Pool>) {
    let pool = Pool::builder("fleet").member(Member::new("sick", Patient::new(sick)));
    let pool = pool.member(Member::new("well", answers("x"))).policy(Ordered::new()).health_every(every);
    let pool = pool.build().expect("it is whole");
    (pool.clone(), Retry::new(pool))
}

/// How often a member is called that fails for ever, in five minutes of steady traffic.
async fn calls_while_it_fails(every: Option<Duration>, polled: bool) -> u64 {
    let sick = fails(WorkerErrorKind::Transient);
    let (pool, worker) = beside(sick.clone(), every);
    for _ in 0..3_000 {
        who(&worker, request()).await.expect("the other one answers");
        if polled {
            pool.health().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sick.stats().calls
}

#[tokio::test(start_paused = true)]
async fn who_is_ready_all_along_is_not_probed_sooner_for_it() {
    fastrand::seed(6);
    let unasked = calls_while_it_fails(None, false).await;
    assert!(unasked < 40, "{unasked} calls");
    for (every, polled) in [(Some(EVERY), false), (Some(EVERY / 5), false), (None, true)] {
        let calls = calls_while_it_fails(every, polled).await;
        assert!(calls.abs_diff(unasked) <= 4, "{calls} calls, and {unasked} where nobody asks how it is");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_asked_for_goes_on_when_it_is_ready_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let limited = || WorkerError::new(WorkerErrorKind::RateLimited, "429").with_retry_after(Duration::from_secs(60));
    let sick = Patient::new(MockWorker::with(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Script::new().fail(WorkerError::new(WorkerErrorKind::Transient, "503")),
        _ => Script::new().fail(limited()),
    }));
    let touchy = BreakerConfig::new().in_a_row(1).pauses(EVERY, EVERY);
    let pool = Pool::builder("fleet").member(Member::new("sick", sick.clone()).breaker(touchy));
    let pool = pool.member(Member::new("well", answers("x"))).policy(Ordered::new()).health_every(None);
    let pool = pool.build().expect("it is whole");
    for _ in 0..2 {
        finish(&pool, request()).await.expect_err("it fails, and its probe");
        tokio::time::sleep(EVERY).await;
    }
    for health in [Health::unavailable("it is full"), Health::ready()] {
        sick.says(health);
        pool.health().await;
    }
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(who(&pool, request()).await.expect("answered"), "well");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    tokio::time::sleep(Duration::from_secs(10)).await;
    finish(&pool, request()).await.expect_err("now it is asked");
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_and_then_says_nothing_stays_left_alone() {
    let a = Patient::new(answers("x"));
    let pool = of(&a);
    a.says(Health::unavailable("it loads its model"));
    who(&pool, request()).await.expect("answered");
    asked_again(&a).await;
    a.hangs.store(true, Ordering::SeqCst);
    for _ in 0..6 {
        tokio::time::sleep(EVERY).await;
        assert_eq!(member(&pool, "a").state, MemberState::Unavailable);
        assert_eq!(who(&pool, request()).await.expect("answered"), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_keeps_its_place_while_another_member_takes_nothing() {
    let second = Duration::from_secs(1);
    let a = MockWorker::new(Script::new().streaming().text("t").delay(4 * second).finish()).slots(slots(1));
    let down = Patient::new(answers("x"));
    down.says(Health::unavailable("it is gone"));
    let pool = Pool::builder("fleet").member(Member::new("a", a)).member(Member::new("down", down));
    let pool = pool.health_every(second).build().expect("it is whole");
    pool.health().await;
    let order = Mutex::new(Vec::new());
    let calls = (0..24).map(|number: u32| {
        let (pool, order) = (&pool, &order);
        async move {
            tokio::time::sleep(Duration::from_millis(1) * number).await;
            let slots = pool.slots().expect("it has some");
            let slot = slots.acquire().await;
            order.lock().expect("not poisoned").push(number);
            let mut request = request();
            request.lease = Lease::of(&slot);
            who(pool, request).await.expect("answered");
        }
    });
    join_all(calls).await;
    assert_eq!(*order.lock().expect("not poisoned"), (0..24).collect::<Vec<_>>());
}
