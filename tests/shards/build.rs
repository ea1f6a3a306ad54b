use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

use crate::TestResult;
use crate::common::until_on_threads;
#[cfg(target_os = "linux")]
use crate::task::allowed_cores;

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

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _cx: LayerContext<'_, S>) {
        self.0.fetch_add(usize::from(*event.metadata().level() == tracing::Level::WARN), Ordering::SeqCst);
    }
}

fn warnings_of(shards: usize) -> usize {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let built = tracing::subscriber::with_default(subscriber, || Shards::of(shards).build(|_| echo("echo")));
    built.expect("the plan is sound");
    warnings.0.load(Ordering::SeqCst)
}

#[cfg(target_os = "linux")]
#[test]
fn shards_that_share_a_core_are_warned_of_once() -> TestResult {
    assert_eq!((warnings_of(1), warnings_of(allowed_cores()? + 2)), (0, 1));
    Ok(())
}
