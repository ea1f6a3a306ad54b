//! What a plan that cannot work is told.

use std::time::Duration;

use prompt_orchestrator::prelude::*;

use crate::common::{TestResult, slots};

/// Stage and field of every fault.
fn faults<In: Input, Out: Send + 'static>(
    built: Result<Pipeline<In, Out>, BuildError>,
) -> Vec<(Option<String>, &'static str)> {
    let error = built.expect_err("it has faults");
    for fault in error.faults() {
        assert!(error.to_string().contains(&fault.to_string()), "`{error}` leaves out `{fault}`");
    }
    error.faults().iter().map(|fault| (fault.stage().map(str::to_owned), fault.field())).collect()
}

fn same(number: u64) -> impl Future<Output = Result<u64, BoxError>> + Send {
    std::future::ready(Ok(number))
}

#[test]
fn all_faults_are_told_at_once() {
    let zeros = StageConfig::new().depth(0).concurrency(0).timeout(Duration::ZERO);
    let queued_inline = StageConfig::new().inline().depth(4).concurrency(2).shed(ShedPolicy::RejectNew).slots(slots(1));
    let built = Pipeline::builder("")
        .then_with("zeros", zeros, |_cx, n: u64| same(n))
        .then("fine", |_cx, n: u64| same(n))
        .then_with("inline", queued_inline, |_cx, n: u64| same(n))
        .build();
    let stage = |name: &str| Some(name.to_owned());
    assert_eq!(
        faults(built),
        [
            (None, "name"),
            (stage("zeros"), "depth"),
            (stage("zeros"), "concurrency"),
            (stage("zeros"), "timeout"),
            (stage("inline"), "depth"),
            (stage("inline"), "concurrency"),
            (stage("inline"), "shed"),
            (stage("inline"), "slots"),
        ]
    );
}

#[test]
fn a_pipeline_needs_a_name_and_a_stage() {
    assert_eq!(faults(Pipeline::<u64, ()>::builder("").build()), [(None, "name"), (None, "stages")]);
    assert_eq!(faults(Pipeline::<u64, ()>::builder("empty").build()), [(None, "stages")]);
}

#[test]
fn a_depth_that_no_queue_can_have_is_a_fault() {
    let config = StageConfig::new().depth(usize::MAX);
    let built = Pipeline::builder("deep").then_with("work", config, |_cx, n: u64| same(n)).build();
    assert_eq!(faults(built), [(Some("work".to_owned()), "depth")]);
}

#[tokio::test(start_paused = true)]
async fn the_first_stage_keeps_its_queue_though_it_asks_to_be_inline() -> TestResult {
    let config = StageConfig::new().inline().depth(1);
    let pipeline = Pipeline::builder("first").then_with("work", config, |_cx, n: u64| same(n)).build()?;
    assert_eq!(pipeline.submit(7).await?.output().await?, 7);
    Ok(())
}

#[test]
fn stages_of_the_same_name_are_told_apart() -> TestResult {
    let pipeline = Pipeline::builder("twice")
        .then("work", |_cx, n: u64| same(n))
        .then("work", |_cx, n: u64| same(n))
        .then_with("work", StageConfig::new().inline(), |_cx, n: u64| same(n))
        .build()?;
    let names: Vec<_> = pipeline.stats().stages.into_iter().map(|stage| stage.name).collect();
    assert_eq!(names, ["work", "work-2", "work-3"]);
    Ok(())
}

#[test]
fn building_needs_no_runtime() -> TestResult {
    let pipeline = Pipeline::builder("cold").then("work", |_cx, n: u64| same(n)).build()?;
    assert_eq!((pipeline.name(), pipeline.stats().submitted), ("cold", 0));
    Ok(())
}
