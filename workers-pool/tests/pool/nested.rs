use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script, conformance};
use workers_pool::policy::Ordered;
use workers_pool::{Member, Pool, Retry};

use crate::common::{answers, fails, finish, member, pool, request, slots, who};

fn slow(count: usize) -> MockWorker {
    let ms = Duration::from_millis(5);
    MockWorker::new(Script::new().delay(ms).streaming().text("x").delay(ms).finish()).slots(slots(count))
}

/// The two pools `east` and `west` as one.
fn around(east: Pool, west: Pool) -> Pool {
    let pool = pool([Member::new("east", east), Member::new("west", west)]);
    pool.set_policy(Ordered::new());
    pool
}

#[tokio::test(start_paused = true)]
async fn slots_reach_through_pools_of_pools() {
    let workers = [slow(1), slow(2), slow(3), slow(4)];
    let [a, b, c, d] = workers.clone();
    let east = pool([Member::new("a", a), Member::new("b", b)]);
    let west = pool([Member::new("c", c), Member::new("d", d)]);
    let all = around(east.clone(), west);
    let config = StageConfig::new().shed(ShedPolicy::Backpressure);
    let pipeline = Pipeline::builder("test")
        .stage_with(InferenceStage::new(Retry::new(all.clone())), config)
        .stage(StreamStage::default())
        .build()
        .expect("it is whole");
    let ask = async || pipeline.submit(PromptRequest::new("?")).await?.text().await;
    let answers = join_all((0..300).map(|_| ask())).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    for (worker, slots) in workers.iter().zip(1..) {
        assert_eq!((worker.stats().most_live, worker.stats().live), (slots, 0));
    }
    let outer = all.slots().expect("it has some");
    assert_eq!((outer.total(), outer.free()), (10, 10));
    assert_eq!(member(&east, "b").in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_inside_is_one_attempt_and_the_other_pool_is_next() {
    let east = pool([Member::new("a", fails(WorkerErrorKind::Transient))]);
    let west = pool([Member::new("c", answers("x"))]);
    let all = around(east, west);
    let request = request();
    let again = request.clone();
    finish(&all, request).await.expect_err("a fails");
    let attempts = again.attempts.all();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].worker.as_str(), attempts[0].members.len()), ("a", 2));
    assert!(attempts[0].elsewhere, "its own pool has nobody else, but the other one has");
    assert_eq!(who(&all, again).await.expect("answered"), "c");
    let (failing, asked) = (member(&all, "east"), member(&all, "west"));
    assert_eq!((failing.failures, asked.calls), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn members_of_the_same_name_in_two_pools_are_not_mixed_up() {
    let east = pool([Member::new("gpu", fails(WorkerErrorKind::Auth))]);
    let west = pool([Member::new("gpu", answers("x"))]);
    let worker = Retry::new(around(east, west.clone()));
    assert_eq!(who(&worker, request()).await.expect("answered"), "gpu");
    assert_eq!(member(&west, "gpu").calls, 1);
}

#[tokio::test]
async fn a_pool_keeps_a_workers_contract() {
    let worker = slow(3);
    let (probe, other) = (worker.clone(), answers("x y").slots(slots(2)));
    let pool = pool([Member::new("a", worker), Member::new("b", other)]);
    pool.set_policy(Ordered::new());
    conformance::check(pool).in_flight(move || probe.stats().live).run().await.assert();
}
