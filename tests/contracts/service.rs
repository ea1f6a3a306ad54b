//! A pipeline as a `tower::Service`.

use std::future::poll_fn;
use std::time::Duration;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tower_service::Service;

use crate::common::{Gate, TestResult, ask, assert_balanced, one_gated, poll_once, settle, streaming};

/// What tower's own middleware asks for.
async fn call_through<S, Request>(service: &mut S, request: Request) -> Result<S::Response, S::Error>
where
    S: Service<Request>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_and_its_response_is_the_answer() -> TestResult {
    let mut pipeline = streaming(MockWorker::new(Script::answering("served")), StreamStage::default())?;
    let mut answer = call_through(&mut pipeline, PromptRequest::new("?")).await?;
    assert_eq!(answer.text().await?, "served");
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_at_a_full_door_where_the_call_waits_by_its_policy() -> TestResult {
    let gate = Gate::shut();
    let mut pipeline = one_gated(StageConfig::new().depth(1).concurrency(1), &gate)?;
    let _running = call_through(&mut pipeline, ask(0)).await?;
    settle().await;
    let _queued = call_through(&mut pipeline, ask(1)).await?;
    poll_fn(|cx| Service::poll_ready(&mut pipeline, cx)).await?;
    let mut waiting = Service::call(&mut pipeline, ask(2));
    assert!(poll_once(&mut waiting).await.is_none());
    gate.open();
    assert_eq!(waiting.await?.output().await?.number, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_is_not_ready_while_it_drains() -> TestResult {
    let gate = Gate::shut();
    let mut pipeline = one_gated(StageConfig::new(), &gate)?;
    let clone = pipeline.clone();
    let _running = call_through(&mut pipeline, ask(0)).await?;
    let mut drain = Box::pin(clone.drain(Duration::from_secs(1)));
    assert!(poll_once(&mut drain).await.is_none());
    let refused = ErrorKind::Refused(RefuseReason::Draining);
    let error = poll_fn(|cx| Service::poll_ready(&mut pipeline, cx)).await.expect_err("it drains");
    assert_eq!(error.kind(), refused);
    // A call all the same, after a readiness from before, is refused too.
    let error = Service::call(&mut pipeline, ask(1)).await.expect_err("it drains");
    assert_eq!(error.kind(), refused);
    Ok(())
}
