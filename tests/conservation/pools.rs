//! Pipelines that call many workers as one, which all fail now and then: each member's calls end, and no slot is lost.

use std::num::NonZeroUsize;
use std::time::Duration;

use prompt_orchestrator::pool::policy::RoundRobin;
use prompt_orchestrator::pool::{FailOver, Member, Pace, Pool, PoolStats, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::MockWorker;
use prompt_orchestrator::worker::WorkerInfo;

use crate::run::{End, Run};
use crate::tokens::{prompt_life, script, token_builder};

/// Per policy: two ways of delivery, two ways to end.
const POOL_REQUESTS: u64 = 16_000;

const MEMBERS: usize = 3;

const SLOTS: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

#[test]
fn pools_under_backpressure() {
    pools(ShedPolicy::Backpressure);
}

#[test]
fn pools_where_newcomers_are_rejected() {
    pools(ShedPolicy::RejectNew);
}

#[test]
fn pools_where_the_oldest_is_dropped() {
    pools(ShedPolicy::DropOldest);
}

fn pools(policy: ShedPolicy) {
    let buffered = StreamStage::default().buffered(NonZeroUsize::new(2).expect("not zero"));
    for (way, delivery) in [("buffered", buffered), ("direct", StreamStage::default().direct())] {
        for end in [End::Quiet, End::Rush] {
            let run = Run::new(&format!("{policy:?}, a pool, {way}, {end:?}"), end, POOL_REQUESTS / 4);
            let members: Vec<_> = (0..MEMBERS).map(Failing::new).collect();
            let (pool, worker) = together(&members);
            let delivery = delivery.clone().reader_stall(Duration::from_millis(3));
            let pipeline = token_builder(worker, policy).stage(delivery).build();
            run.check(&pipeline.expect("builds"), None, prompt_life);
            check(&members, &pool.stats());
        }
    }
}

/// All of them in turns, behind all wrappers, which ask again soon. Nobody looks after their health: that would be a task more.
fn together(members: &[Failing]) -> (Pool, FailOver<Retry<Pool>>) {
    let pool = Pool::builder("pool").policy(RoundRobin::new()).health_every(None);
    let pool = members.iter().fold(pool, |pool, member| pool.member(Member::new(&member.name, member.clone())));
    let pool = pool.build().expect("the members can be used");
    let pace = Pace::new().attempts(3).backoff(Duration::from_millis(1), Duration::from_millis(5));
    let worker = FailOver::new(Retry::new(pool.clone()).pace(pace)).pace(pace);
    (pool, worker)
}

/// Whether nothing of any member is left, and the pool has counted what they have seen.
fn check(members: &[Failing], stats: &PoolStats) {
    let (mut failures, mut finished) = (0, 0);
    for (member, counted) in members.iter().zip(&stats.members) {
        let (seen, slots) = (member.worker.stats(), &member.slots);
        assert_eq!((seen.live, slots.free()), (0, slots.total()), "alive and free slots of {}", member.name);
        assert_eq!(seen.calls, seen.finished + seen.cancelled, "{seen:?}");
        assert!(seen.most_live <= slots.total(), "more alive than slots: {seen:?}");
        assert_eq!((counted.calls, counted.in_flight), (seen.calls, 0), "{}", member.name);
        failures += counted.failures;
        finished += seen.finished;
    }
    assert!(failures > 0 && finished > failures, "{failures} failures among {finished} show nothing");
}

/// A member that does one of everything, and goes on with what others began.
#[derive(Clone)]
struct Failing {
    name: String,
    worker: MockWorker,
    slots: Slots,
}

impl Failing {
    fn new(number: usize) -> Self {
        let slots = Slots::new(SLOTS);
        // Another attempt meets with other luck.
        let luck = move |request: &InferenceRequest| 4 + (number + MEMBERS * request.attempts.len()) as u64;
        let worker = MockWorker::with(move |request| script(request, luck(request))).slots(slots.clone());
        Self { name: format!("member {number}"), worker, slots }
    }
}

#[async_trait]
impl ModelWorker for Failing {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.worker.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new(&self.name).continues()
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.slots.clone())
    }
}
