//! Which cores shards run on, and what is said where there are too few. By what Linux tells of a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

use crate::TestResult;
use crate::task::{ask, running, task};

/// On how many cores this thread may run, whatever a container's quota says.
fn allowed_cores() -> Result<usize, BoxError> {
    let status = std::fs::read_to_string("/proc/thread-self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).ok_or("no such line")?;
    Ok(mask.chars().filter_map(|digit| digit.to_digit(16)).map(|four| four.count_ones() as usize).sum())
}

#[tokio::test]
async fn a_shard_is_pinned_to_one_core_and_what_it_offloads_is_not() -> TestResult {
    let all = allowed_cores()?;
    let shards = running(Shards::of(2));
    assert_eq!(ask(&shards, task(async |_cx| Ok(allowed_cores()? as u64))).await?, 1);
    let offloaded = shards.submit(task(async |cx: Context| Ok(cx.offload(allowed_cores).await?? as u64))).await;
    assert_eq!(offloaded?.output().await?, all as u64);
    // And not all on one.
    let mut pinned_to = Vec::new();
    for status in shards.spawn_on_each(async |_| std::fs::read_to_string("/proc/thread-self/status")) {
        let status = status.await??;
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list")).ok_or("no such line")?;
        pinned_to.push(line.to_owned());
    }
    assert_eq!(pinned_to[0] == pinned_to[1], all == 1);
    Ok(())
}

#[tokio::test]
async fn unpinned_shards_run_where_the_process_may() -> TestResult {
    let shards = running(Shards::of(2).unpinned());
    assert_eq!(ask(&shards, task(async |_cx| Ok(allowed_cores()? as u64))).await?, allowed_cores()? as u64);
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

fn echo() -> Result<Pipeline<String, String>, BuildError> {
    Pipeline::builder("echo").then("echo", async |_cx, text: String| Ok::<_, BoxError>(text)).build()
}

fn warnings_of(shards: ShardsBuilder) -> usize {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let built = tracing::subscriber::with_default(subscriber, || shards.build(|_| echo()));
    built.expect("the plan is sound");
    warnings.0.load(Ordering::SeqCst)
}

#[test]
fn shards_that_share_a_core_are_warned_of_once() -> TestResult {
    let too_many = allowed_cores()? + 2;
    assert_eq!((warnings_of(Shards::of(1)), warnings_of(Shards::of(too_many))), (0, 1));
    assert_eq!(warnings_of(Shards::of(too_many).unpinned()), 0);
    Ok(())
}
