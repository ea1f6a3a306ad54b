use orchestrator_core::stage::{CoDel, ShedPolicy, StageConfig};

use crate::file::{Queue, Shed};

/// How a stage is placed: by what the file says of its queue, or as the stage wants it.
pub(super) fn place(queue: Option<&Queue>) -> StageConfig {
    queue.map_or_else(StageConfig::new, |queue| settings(queue, StageConfig::new()))
}

/// How a stage is placed that has no queue unless the file says so.
pub(super) fn place_inline(queue: Option<&Queue>) -> StageConfig {
    queue.map_or_else(StageConfig::new, |queue| settings(queue, StageConfig::new().queued()))
}

fn settings(queue: &Queue, mut place: StageConfig) -> StageConfig {
    if let Some(depth) = queue.depth {
        place = place.depth(depth.get());
    }
    if let Some(concurrency) = queue.concurrency {
        place = place.concurrency(concurrency.get());
    }
    if let Some(shed) = queue.shed {
        place = place.shed(policy(shed, queue));
    }
    if let Some(limit) = queue.max_wait {
        place = place.max_wait(limit.into());
    }
    if let Some(step) = queue.aging {
        place = place.aging(step.into());
    }
    if let Some(service) = queue.expected {
        place = place.expected(service.into());
    }
    if let Some(limit) = queue.timeout {
        place = place.timeout(limit.into());
    }
    place
}

fn policy(shed: Shed, queue: &Queue) -> ShedPolicy {
    match shed {
        Shed::Backpressure => ShedPolicy::Backpressure,
        Shed::RejectNew => ShedPolicy::RejectNew,
        Shed::DropOldest => ShedPolicy::DropOldest,
        Shed::Predictive => ShedPolicy::Predictive,
        Shed::CoDel => {
            let times = queue.codel.clone().unwrap_or_default();
            ShedPolicy::CoDel(CoDel::new(times.target.into(), times.interval.into()))
        }
    }
}
