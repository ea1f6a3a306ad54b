use std::time::Duration;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;

use crate::TestResult;
use crate::common::{assert_balanced, burn, until_on_threads};
use crate::task::{ask, running, session_on, task, whereabouts};

#[tokio::test]
async fn counts_are_added_up_and_quantiles_are_those_of_all_requests() -> TestResult {
    let shards = running(Shards::of(2));
    let (fast, slow) = (session_on(&shards, 0), session_on(&shards, 1));
    for _ in 0..9 {
        ask(&shards, whereabouts().of(&fast)).await?;
    }
    let burns = task(async |_cx| {
        burn(Duration::from_millis(200));
        Ok(0)
    });
    ask(&shards, burns.of(&slow)).await?;
    ask(&shards, task(async |_cx| Err("wrong".into())).of(&slow)).await.expect_err("failed");
    let late = RequestOptions::new().session(slow.as_str()).within(Duration::ZERO);
    assert!(shards.submit_with(whereabouts(), late).await.is_err());

    // A stage books what it has run a moment after that has been handed on.
    until_on_threads("all runs are booked", || shards.stats().stages[0].run.count == 11);
    let (stats, each) = (shards.stats(), shards.stats_per_shard());
    assert_balanced(&stats);
    assert_eq!((stats.submitted, stats.accepted, stats.answered, stats.failed, stats.refused), (12, 11, 10, 1, 1));
    assert_eq!((each[0].answered, each[1].answered, each[1].failed, each[1].refused), (9, 1, 1, 1));
    assert!(stats.refused_by_reason.contains(&(RefuseReason::Deadline, 1)));
    assert_eq!((stats.total.count, stats.stages[0].run.count, stats.stages[0].wait.count), (10, 11, 11));
    assert_eq!(stats.stages[0].name, "run");
    // Nine of ten were fast, whatever the half of the shards says.
    assert!(each[1].total.p50 > Duration::from_millis(150), "{:?}", each[1].total);
    assert!(stats.total.p50 < Duration::from_millis(100), "{:?}", stats.total);
    assert!(stats.total.p95 > Duration::from_millis(150), "{:?}", stats.total);
    Ok(())
}
