//! A deadline at the worker: inside its call and while tokens flow, with a reader, without one, and detached.

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{Stopwatch, TestResult, assert_balanced, both_deliveries, settle, slots, soon, streaming, until};
use crate::{FAR, NEAR, ended};

#[tokio::test(start_paused = true)]
async fn inside_infer_it_fails_and_the_call_is_dropped() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::new().hang()).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let mut answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
    let clock = Stopwatch::start();
    let error = soon(answer.text()).await.expect_err("the worker hangs");
    clock.assert_at(NEAR);
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Deadline, Some("infer")));
    until("the slot is free", || slots.free() == 1).await;
    assert_eq!(worker.stats().cancelled, 1);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn while_tokens_flow_it_fails_and_the_slot_is_free() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for reads in [true, false] {
            let slots = slots(1);
            let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
            let pipeline = streaming(worker.clone(), stage.clone())?;
            let mut answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
            let clock = Stopwatch::start();
            if reads {
                assert_eq!(answer.next().await.expect("a token")?.text(), "a");
                let error = soon(answer.next()).await.expect("an error").expect_err("the worker hangs");
                assert_eq!(error.kind(), ErrorKind::Deadline, "{delivery}");
                assert!(error.stage().is_some());
                assert!(answer.next().await.is_none(), "{delivery}: the error is the last item");
            } else {
                ended(&answer).await;
            }
            clock.assert_at(NEAR);
            until("the slot is free", || slots.free() == 1).await;
            assert_eq!((worker.stats().cancelled, worker.stats().live), (1, 0), "{delivery}");
            assert_eq!(pipeline.stats().failed, 1);
            assert_balanced(&pipeline.stats());
            assert_eq!(
                soon(answer.text()).await.expect_err("a cut answer is no text").kind(),
                ErrorKind::Deadline,
                "{delivery}"
            );
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_nearer_deadline_of_a_later_stream_is_not_missed() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::new().streaming().text("a").hang());
        let pipeline = streaming(worker.clone(), stage.reader_stall(2 * FAR))?;
        let far = pipeline.submit(PromptRequest::new("?").within(FAR)).await?;
        settle().await;
        let near = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
        let clock = Stopwatch::start();
        ended(&near).await;
        clock.assert_at(NEAR);
        ended(&far).await;
        clock.assert_at(FAR);
        settle().await;
        assert_eq!(worker.stats().live, 0, "{delivery}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_detached_request_keeps_its_deadline() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(1);
        let worker = MockWorker::new(Script::new().streaming().text("a").hang()).slots(slots.clone());
        let pipeline = streaming(worker, stage)?;
        let answer = pipeline.submit(PromptRequest::new("?").within(NEAR)).await?;
        settle().await;
        let token = answer.context().cancellation();
        let clock = Stopwatch::start();
        answer.detach();
        soon(token.cancelled()).await;
        clock.assert_at(NEAR);
        until("the slot is free", || slots.free() == 1).await;
        assert_eq!(pipeline.stats().failed, 1, "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_detached_request_keeps_its_deadline_behind_the_time_of_its_reader() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let worker = MockWorker::new(Script::new().streaming().text("a").hang());
        let pipeline = streaming(worker.clone(), stage.reader_stall(NEAR))?;
        let answer = pipeline.submit(PromptRequest::new("?").within(FAR)).await?;
        settle().await;
        let token = answer.context().cancellation();
        let clock = Stopwatch::start();
        answer.detach();
        soon(token.cancelled()).await;
        clock.assert_at(FAR);
        settle().await;
        let stats = pipeline.stats();
        assert_eq!((worker.stats().live, stats.failed, stats.cancelled), (0, 1, 0), "{delivery}");
        assert_balanced(&stats);
    }
    Ok(())
}
