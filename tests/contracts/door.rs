//! What the door says of inputs that cannot be used: the field, before anything is spent on them.

use std::time::Duration;

use prompt_orchestrator::error::{InvalidInput, RefuseReason};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::request::{Sampling, Tool};
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::time::Instant;

use crate::common::{TestResult, assert_balanced, prompts, settle, streaming};

fn sampling(set: impl FnOnce(&mut Sampling)) -> PromptRequest {
    let mut sampling = Sampling::default();
    set(&mut sampling);
    PromptRequest::new("?").sampling(sampling)
}

#[tokio::test(start_paused = true)]
async fn a_bad_input_is_refused_by_the_name_of_its_field() -> TestResult {
    let worker = MockWorker::new(Script::answering("never"));
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let nameless = Tool { name: String::new(), description: String::new(), parameters: Default::default() };
    let bad = [
        (PromptRequest::new(""), "messages"),
        (PromptRequest::new(" \n\t"), "messages"),
        (PromptRequest::from_messages([]), "messages"),
        (PromptRequest::new("?").tool(nameless), "tools"),
        (PromptRequest::new("?").temperature(2.5), "temperature"),
        (PromptRequest::new("?").temperature(f32::NAN), "temperature"),
        (sampling(|s| s.top_p = Some(0.0)), "top_p"),
        (sampling(|s| s.top_p = Some(1.5)), "top_p"),
        (sampling(|s| s.stop.push(String::new())), "stop"),
    ];
    let count = bad.len() as u64;
    for (prompt, field) in bad {
        for error in [pipeline.submit(prompt.clone()).await.err(), pipeline.try_submit(prompt.clone()).err()] {
            let error = error.expect("it is not valid");
            assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Invalid), "{field}");
            assert_eq!((error.field(), error.stage()), (Some(field), None));
            assert!(error.is_refused() && !error.is_transient());
            let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<InvalidInput>());
            assert_eq!(source.expect("the source is kept").field(), field);
        }
    }
    settle().await;
    let stats = pipeline.stats();
    assert!(stats.refused_by_reason.contains(&(RefuseReason::Invalid, 2 * count)), "{stats:#?}");
    assert_eq!((worker.stats().calls, stats.accepted), (0, 0));
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_wrong_in_two_ways_is_refused_once() -> TestResult {
    let pipeline = prompts("twice").stage(InferenceStage::new(MockWorker::new(Script::new()))).build()?;
    let past = Instant::now();
    let error = pipeline.submit(PromptRequest::new("").deadline(past)).await.expect_err("it is wrong");
    assert_eq!((error.kind(), error.field()), (ErrorKind::Refused(RefuseReason::Invalid), Some("messages")));
    assert_eq!(pipeline.stats().refused, 1);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn options_from_outside_go_before_those_of_the_input() -> TestResult {
    let pipeline = Pipeline::builder("options")
        .then("tells", |cx: Context, _: PromptRequest| async move {
            Ok::<_, BoxError>((cx.session().map(str::to_owned), cx.tenant().map(str::to_owned), cx.priority()))
        })
        .build()?;
    let prompt = || PromptRequest::new("?").session("inside").priority(Priority::Low);
    let (session, tenant, priority) = pipeline.submit(prompt()).await?.output().await?;
    assert_eq!((session.as_deref(), tenant, priority), (Some("inside"), None, Priority::Low));

    let outside = RequestOptions::new().tenant("outside").priority(Priority::High);
    let (session, tenant, priority) = pipeline.submit_with(prompt(), outside).await?.output().await?;
    assert_eq!((session, tenant.as_deref(), priority), (None, Some("outside"), Priority::High));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn while_it_drains_nothing_is_looked_at() -> TestResult {
    let pipeline = streaming(MockWorker::new(Script::answering("never")), StreamStage::default())?;
    pipeline.drain(Duration::ZERO).await;
    for bad in [PromptRequest::new(""), PromptRequest::new("?").within(Duration::ZERO)] {
        let error = pipeline.submit(bad).await.expect_err("it takes nothing more");
        assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Draining));
    }
    // No task was started for what is refused at once.
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    Ok(())
}
