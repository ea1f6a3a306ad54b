//! Tenants share what there is by what they are served, and are held to their limits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::tenants::{Limit, Tenants};
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::{TestResult, count, settle};
use crate::{MS, SECOND, Work, hold, outcomes, slots};

fn limit(tokens: u32) -> NonZeroU32 {
    NonZeroU32::new(tokens).expect("not zero")
}

/// Serves all that `submitted` brings behind one that holds the slot; returns the tenants in the order of service.
async fn order(
    tenants: Tenants,
    submitted: &[(&'static str, usize, std::time::Duration)],
) -> Result<Vec<String>, Error> {
    let served = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    // What has waited for long goes first, whatever its tenant: nothing here is to.
    let config = StageConfig::new().slots(slots(1)).shed(ShedPolicy::Backpressure).aging(1_000 * SECOND);
    let seen = served.clone();
    let pipeline = Pipeline::builder("shared")
        .tenants(tenants)
        .then_with("work", config, move |cx: Context, work: Work| {
            seen.lock().expect("not poisoned").push(cx.tenant().unwrap_or_default().to_owned());
            hold(work.0)
        })
        .build()
        .expect("the plan is sound");
    let mut answers = vec![pipeline.submit_with(Work(SECOND), RequestOptions::new().tenant("first")).await?];
    settle().await;
    for (tenant, number, time) in submitted {
        for _ in 0..*number {
            answers.push(pipeline.submit_with(Work(*time), RequestOptions::new().tenant(*tenant)).await?);
        }
    }
    outcomes(answers).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let served = served.lock().expect("not poisoned").split_off(1);
    Ok(served)
}

fn counts(served: &[String]) -> BTreeMap<&str, usize> {
    served.iter().fold(BTreeMap::new(), |mut counts, tenant| {
        *counts.entry(tenant.as_str()).or_default() += 1;
        counts
    })
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_does_not_push_the_others_back() -> TestResult {
    let served = order(Tenants::new(), &[("flood", 50, SECOND), ("modest", 5, SECOND)]).await?;
    assert_eq!(counts(&served[..10]), BTreeMap::from([("flood", 5), ("modest", 5)]));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn shares_go_by_the_time_that_is_served_and_by_weight() -> TestResult {
    let served = order(Tenants::new(), &[("long", 20, SECOND), ("short", 40, 250 * MS)]).await?;
    let head = counts(&served[..25]);
    assert_eq!(head["short"] / head["long"], 4, "four short ones for a long one: {head:?}");
    let weighted = Tenants::new().weight("gold", 3.0);
    let served = order(weighted, &[("gold", 40, SECOND), ("plain", 40, SECOND)]).await?;
    let head = counts(&served[..40]);
    assert!((29..=31).contains(&head["gold"]), "three for one: {head:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_generated_are_charged() -> TestResult {
    // Both say the same of their requests; the answers to one are twenty times as long.
    let worker = MockWorker::with(|request| {
        let tokens = if request.question() == "long" { 100 } else { 5 };
        (0..tokens).fold(Script::new().streaming(), |script, _| script.text("t ").delay(10 * MS)).finish()
    });
    let worker = worker.slots(slots(1));
    let pipeline = Pipeline::builder("tokens")
        .stage_with(InferenceStage::new(worker.clone()), StageConfig::new().shed(ShedPolicy::Backpressure))
        .stage(StreamStage::default().buffered(count(256)))
        .build()?;
    let mut answers = Vec::new();
    for tenant in ["long", "short"] {
        for _ in 0..100 {
            let prompt = PromptRequest::new(tenant).max_tokens(limit(256)).tenant(tenant);
            answers.push((tenant, pipeline.submit(prompt).await?));
        }
    }
    tokio::time::sleep(8 * SECOND).await;
    let mut done = BTreeMap::new();
    for (tenant, answer) in &mut answers {
        let whole = answer.report().finish.is_some();
        *done.entry(*tenant).or_insert(0) += usize::from(whole);
    }
    assert!(done["short"] > 3 * done["long"], "tokens are shared, not requests: {done:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_limit_refuses_and_says_when_to_come_back() -> TestResult {
    let tenants = Tenants::new().default_limit(Limit::new().requests_per_second(2).burst(2));
    let build = || {
        let pipeline = Pipeline::builder("limited").tenants(tenants.clone());
        pipeline.then("work", |_cx, work: Work| hold(work.0)).build()
    };
    let (one, other) = (build()?, build()?);
    let options = |tenant: &str| RequestOptions::new().tenant(tenant);
    assert!(one.submit_with(Work(MS), options("a")).await.is_ok());
    assert!(other.submit_with(Work(MS), options("a")).await.is_ok());
    let error = one.submit_with(Work(MS), options("a")).await.expect_err("both pipelines count");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Refused(RefuseReason::RateLimited), true));
    assert!(one.submit_with(Work(MS), options("b")).await.is_ok(), "each tenant for itself");
    tokio::time::advance(error.retry_after().expect("it is known")).await;
    assert!(one.submit_with(Work(MS), options("a")).await.is_ok());
    assert!(one.stats().refused_by_reason.contains(&(RefuseReason::RateLimited, 1)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_the_door_refuses_does_not_count_against_a_limit() -> TestResult {
    let config = StageConfig::new().slots(slots(1));
    let pipeline = Pipeline::builder("both")
        .tenants(Tenants::new().default_limit(Limit::new().requests_per_second(1).burst(3)))
        .then_with("work", config, |_cx, work: Work| hold(work.0))
        .build()?;
    let submit = || pipeline.try_submit(Work(10 * SECOND));
    let _running = submit()?;
    settle().await;
    for _ in 0..10 {
        let error = submit().expect_err("the slot is taken for ten seconds");
        assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Overloaded));
    }
    tokio::time::sleep(10 * SECOND).await;
    assert!(submit().is_ok());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn more_tokens_than_a_minute_may_have_are_not_valid() -> TestResult {
    let pipeline = Pipeline::builder("tokens")
        .tenants(Tenants::new().default_limit(Limit::new().tokens_per_minute(1_000)))
        .stage(InferenceStage::new(MockWorker::new(Script::answering("a"))))
        .stage(StreamStage::default())
        .build()?;
    let ask = |tokens| PromptRequest::new("?").max_tokens(limit(tokens));
    assert!(pipeline.submit(ask(900)).await.is_ok());
    assert_eq!(
        pipeline.submit(ask(900)).await.expect_err("used up").kind(),
        ErrorKind::Refused(RefuseReason::RateLimited)
    );
    assert_eq!(pipeline.submit(ask(2_000)).await.expect_err("never").kind(), ErrorKind::Refused(RefuseReason::Invalid));
    Ok(())
}
