use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::answer::Tokens;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::Member;

use crate::common::{pool, slots};

/// A worker with slots that takes its time.
fn slow(count: usize) -> MockWorker {
    let ms = Duration::from_millis(5);
    MockWorker::new(Script::new().delay(ms).streaming().text("x").delay(ms).finish()).slots(slots(count))
}

fn pipeline(worker: impl ModelWorker) -> Pipeline<PromptRequest, Tokens> {
    let config = StageConfig::new().shed(ShedPolicy::Backpressure);
    Pipeline::builder("test")
        .stage_with(InferenceStage::new(worker), config)
        .stage(StreamStage::default())
        .build()
        .expect("it is whole")
}

async fn ask(pipeline: &Pipeline<PromptRequest, Tokens>) -> Result<String, Error> {
    pipeline.submit(PromptRequest::new("?")).await?.text().await
}

#[tokio::test(start_paused = true)]
async fn all_slots_of_all_members_are_used_and_no_more() {
    let (mac, gpu) = (slow(2), slow(3));
    let pool = pool([Member::new("mac", mac.clone()), Member::new("gpu", gpu.clone())]);
    let pipeline = pipeline(pool.clone());
    for answer in join_all((0..100).map(|_| ask(&pipeline))).await {
        assert_eq!(answer.expect("answered"), "x");
    }
    assert_eq!((mac.stats().most_live, gpu.stats().most_live), (2, 3));
    assert_eq!(mac.stats().calls + gpu.stats().calls, 100);
    let all = pool.slots().expect("it has some");
    assert_eq!((all.total(), all.free()), (5, 5));
}
