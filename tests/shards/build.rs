use std::sync::Arc;
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;
use tokio::runtime::Handle;

use crate::TestResult;
use crate::common::until_on_threads;

fn echo(name: &str) -> Result<Pipeline<String, String>, BuildError> {
    Pipeline::builder(name).then("echo", async |_cx, text: String| Ok::<_, BoxError>(text)).build()
}

fn faults(shards: ShardsBuilder, name: &'static str) -> Vec<&'static str> {
    let error = shards.build(move |_| echo(name)).expect_err("the plan is bad");
    error.faults().iter().map(|fault| fault.field()).collect()
}

#[test]
fn every_fault_of_the_settings_is_told_at_once() {
    let limits = SessionState::new().idle(Duration::ZERO).most(0);
    let told = faults(Shards::of(0).spill_over(0.99).session_state(limits), "echo");
    assert_eq!(told, ["shards", "spill_over", "spill_over", "session_state.idle", "session_state.most"]);
    assert_eq!(faults(Shards::of(1).spill_over(f64::NAN), "echo"), ["spill_over"]);
    assert_eq!(faults(Shards::of(1).spill_over(2.0).session_state(SessionState::new()), "echo"), ["spill_over"]);
    let error = Shards::of(0).build(|_| echo("echo")).expect_err("no shard");
    assert_eq!(error.to_string(), "shards cannot be built: `shards` must be at least 1");
}

#[test]
fn where_their_number_is_no_good_the_pipeline_is_looked_at_all_the_same() {
    assert_eq!(faults(Shards::of(0), ""), ["shards", "name"]);
    assert_eq!(faults(Shards::of(usize::MAX), ""), ["shards", "name"]);
    let error = Shards::of(1_025).build(|_| echo("echo")).expect_err("too many");
    assert_eq!(error.to_string(), "shards cannot be built: `shards` must be at most 1024");
}

/// Timers and sockets of a shard's runtime are driven when it has started, so this would wait for ever.
#[test]
fn waiting_on_the_shards_runtime_while_a_pipeline_is_made_panics() {
    let building = std::thread::spawn(|| {
        Shards::of(1).build(|_| {
            Handle::current().block_on(tokio::time::sleep(Duration::from_millis(1)));
            echo("echo")
        })
    });
    until_on_threads("it is told", || building.is_finished());
    let panic = building.join().expect_err("it goes on");
    assert!(panic.downcast_ref::<&str>().is_some_and(|said| said.contains("Cannot start a runtime")));
}

#[test]
fn faults_of_the_pipelines_are_told_beside_them_and_once() {
    assert_eq!(faults(Shards::of(3).spill_over(0.5), ""), ["spill_over", "name"]);
    let stage = |_cx, text: String| async move { Ok::<_, BoxError>(text) };
    let config = || StageConfig::new().depth(0).concurrency(0);
    let error = Shards::of(2)
        .build(move |_| Pipeline::builder("bad").then_with("echo", config(), stage).build())
        .expect_err("the plan is bad");
    let told = "pipeline `bad` cannot be built: stage `echo`: `depth` must be at least 1; stage `echo`: `concurrency` \
        must be at least 1";
    assert_eq!(error.to_string(), told);
}

#[test]
fn the_pipelines_have_to_be_alike_and_their_own() -> TestResult {
    let error = Shards::of(2).build(|shard| echo(["one", "another"][shard])).expect_err("two names");
    assert_eq!(error.faults()[0].field(), "pipeline");
    let one = echo("one")?;
    let error = Shards::of(2).build(move |_| Ok(one.clone())).expect_err("one for both");
    assert_eq!(error.to_string(), "shards cannot be built: `pipeline` must be made anew for each shard");
    Ok(())
}

#[test]
fn a_panic_while_a_pipeline_is_made_goes_on_and_leaves_no_thread_behind() {
    let alive = Arc::new(());
    let held = alive.clone();
    let panic = std::panic::catch_unwind(move || {
        Shards::of(2).build(move |shard| {
            let held = held.clone();
            assert_eq!(shard, 0, "a shard too many");
            Pipeline::builder("held")
                .then("hold", move |_cx, text: String| {
                    let _held = &held;
                    async move { Ok::<_, BoxError>(text) }
                })
                .build()
        })
    });
    let panic = panic.expect_err("it goes on");
    assert!(panic.downcast_ref::<String>().is_some_and(|said| said.contains("a shard too many")));
    until_on_threads("the other shard has ended", || Arc::strong_count(&alive) == 1);
}

#[tokio::test]
async fn there_is_a_shard_for_each_core() -> TestResult {
    let shards = Shards::per_core().build(|_| echo("echo"))?;
    assert_eq!(shards.len(), std::thread::available_parallelism()?.get());
    let mut answer = shards.submit("well".to_owned()).await?;
    assert_eq!(answer.output().await?, "well");
    Ok(())
}
