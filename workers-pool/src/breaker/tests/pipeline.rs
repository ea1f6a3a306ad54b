use std::num::NonZeroUsize;

use orchestrator_core::error::{ErrorKind, RefuseReason};
use orchestrator_core::worker::Slots;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pipeline_refuses_while_it_is_open_and_says_when_to_come_back() {
    let slots = Slots::new(NonZeroUsize::MIN);
    let worker = scripted([vec![failing(); 5], vec![Script::answering("back")]].concat()).slots(slots);
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(Breaker::new(worker.clone())))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    for _ in 0..5 {
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
        answer.text().await.expect_err("fails");
    }
    let refused = pipeline.submit(PromptRequest::new("?")).await.expect_err("is refused");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Unavailable));
    let pause = refused.retry_after().expect("says when");
    assert!(pause > Duration::ZERO && pause < seconds(2), "{pause:?}");
    assert_eq!(worker.stats().calls, 5);
    tokio::time::sleep(seconds(1)).await;
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
    assert_eq!(answer.text().await.expect("answers"), "back");
}
