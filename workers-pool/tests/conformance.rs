//! Workers around a worker keep the contract that it keeps.

use std::num::NonZeroUsize;

use orchestrator_core::testing::{MockWorker, Script, conformance};
use orchestrator_core::worker::{ModelWorker, Slots, Timeouts};
use workers_pool::{Breaker, Retry, Timed};

async fn keeps_the_contract<W: ModelWorker>(around: impl FnOnce(MockWorker) -> W) {
    let slots = Slots::new(NonZeroUsize::new(2).expect("not zero"));
    let worker = MockWorker::new(Script::answering("one two three")).slots(slots);
    let seen = worker.clone();
    conformance::check(around(worker)).in_flight(move || seen.stats().live).run().await.assert();
}

#[tokio::test]
async fn a_breaker_keeps_the_contract() {
    keeps_the_contract(Breaker::new).await;
}

#[tokio::test]
async fn limits_keep_the_contract() {
    keeps_the_contract(|worker| Timed::new(worker, Timeouts::default())).await;
}

#[tokio::test]
async fn a_retry_around_a_breaker_around_limits_keeps_the_contract() {
    keeps_the_contract(|worker| Retry::new(Breaker::new(Timed::new(worker, Timeouts::default())))).await;
}
