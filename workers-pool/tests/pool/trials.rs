//! How many requests find out that a member is slow.

use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::policy::Cheapest;
use workers_pool::{Member, Pool};

use crate::common::{member, pool, request, who};

fn after(ms: u64) -> MockWorker {
    MockWorker::new(Script::new().streaming().delay(Duration::from_millis(ms)).text("x").finish())
}

/// Asks a hundred times in fifteen seconds; returns how often the cold one was asked.
async fn tries(pool: &Pool) -> u64 {
    let before = member(pool, "cold").calls;
    let ask = async |number: u64| {
        tokio::time::sleep(Duration::from_millis(150 * number)).await;
        who(pool, request()).await.expect("answered");
    };
    join_all((0..100).map(ask)).await;
    member(pool, "cold").calls - before
}

#[tokio::test(start_paused = true)]
async fn a_cheap_member_is_tried_by_one_request_before_it_is_known_and_when_it_is_forgotten() {
    let pool = pool([Member::new("cold", after(20_000)), Member::new("fast", after(100)).cost(1.0)]);
    pool.set_policy(Cheapest::within(Duration::from_secs(1)));
    assert_eq!(tries(&pool).await, 1);
    assert_eq!(tries(&pool).await, 0, "it is known now");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(tries(&pool).await, 1);
}
