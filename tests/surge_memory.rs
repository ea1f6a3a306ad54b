//! What a flood costs in memory: as much as the queue and the slots hold, however many come.
//!
//! One test per file: whatever else ran in this process would be counted too.

use std::alloc::System;
use std::num::NonZeroUsize;
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DEPTH: usize = 64;
const SLOTS: usize = 8;
const SERVICE: Duration = Duration::from_millis(100);
/// Ten times as many as the slots can serve.
const EVERY: Duration = Duration::from_micros(1_250);
const REQUESTS: u32 = 20_000;
/// What each of them carries.
const ITEM: usize = 16 * 1024;
/// What the pipeline adds for a request that is inside.
const ADDED: usize = 2 * 1024;
/// Vectors and maps that do not grow with the requests inside, and what the runtime keeps.
const FIXED: usize = 256 * 1024;

#[derive(Debug)]
struct Large(Vec<u8>);

impl Input for Large {}

#[tokio::test(start_paused = true)]
async fn a_flood_takes_no_more_than_the_queue_and_the_slots_hold() -> Result<(), BuildError> {
    // The door's prediction lets far more in than fits, so that the depth is what bounds.
    let patient = StageConfig::new().max_wait(Duration::from_secs(3600));
    let policies = [ShedPolicy::RejectNew, ShedPolicy::DropOldest].map(|policy| StageConfig::new().shed(policy));
    for config in policies.into_iter().chain([StageConfig::new(), patient]) {
        let bound = (DEPTH + SLOTS) * (ITEM + ADDED) + FIXED;
        let peak = peak(&config).await?;
        println!("{config:?}: {peak} of {bound} bytes");
        assert!(peak <= bound, "{config:?}: {peak} bytes instead of {bound}");
    }
    Ok(())
}

/// The most bytes that were live in a flood, above those before it.
async fn peak(config: &StageConfig) -> Result<usize, BuildError> {
    let slots = Slots::new(NonZeroUsize::new(SLOTS).expect("not zero"));
    let config = config.clone().depth(DEPTH).slots(slots).expected(SERVICE);
    let serve = |_cx, large: Large| async move {
        tokio::time::sleep(SERVICE).await;
        Ok::<_, BoxError>(large.0.len())
    };
    let pipeline = Pipeline::builder("memory").then_with("serve", config, serve).build()?;
    let (before, start) = (live(), tokio::time::Instant::now());
    let mut peak = 0;
    for number in 0..REQUESTS {
        tokio::time::sleep_until(start + EVERY * number).await;
        // Who is turned away gets its item back in no other way than by its end.
        if let Ok(answer) = pipeline.try_submit(Large(vec![0; ITEM])) {
            answer.detach();
        }
        peak = peak.max(live().saturating_sub(before));
    }
    let stats = pipeline.stats();
    assert!(stats.refused + stats.shed > u64::from(REQUESTS) / 2, "it is a flood: {stats:?}");
    Ok(peak)
}

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
