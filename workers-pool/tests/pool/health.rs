use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::worker::{Health, HealthStatus, Load};
use workers_pool::policy::Ordered;
use workers_pool::{BreakerConfig, BreakerState, Member, MemberState, Pool};

use crate::common::{answers, fails, finish, member, request, who};

/// A worker that says how it is, as it is told.
#[derive(Clone)]
struct Patient {
    worker: orchestrator_core::testing::MockWorker,
    says: Arc<Mutex<Health>>,
    model: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Patient {
    fn new(worker: orchestrator_core::testing::MockWorker) -> Self {
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
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, orchestrator_core::error::WorkerError> {
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
    a.says(Health::unknown());
    finish(&pool, request()).await.expect_err("it fails");
    let open = |pool: &Pool| match member(pool, "a").breaker.state {
        BreakerState::Open { probe_at } => probe_at.saturating_duration_since(tokio::time::Instant::now()),
        other => panic!("it is {other:?}"),
    };
    asked_again(&a).await;
    assert!(open(&pool) > 30 * EVERY);
    a.says(Health::ready());
    asked_again(&a).await;
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
