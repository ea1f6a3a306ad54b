use std::time::Duration;

use crate::error::{RefuseReason, ShedReason};
use crate::runtime::shared::Shared;
use crate::stats::counters::add;
use crate::stats::{Counters, Counts, Histogram};
use crate::token::Usage;

/// Durations seen so far. Quantiles are exact to a sixteenth of their value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// All of them together.
    pub sum: Duration,
    /// The median.
    pub p50: Duration,
    /// 95 % took at most this long.
    pub p95: Duration,
    /// 99 % took at most this long.
    pub p99: Duration,
}

/// What a pipeline has done so far, and what is in it now.
///
/// When it is idle, `submitted = refused + withdrawn + accepted` and
/// `accepted = answered + failed + shed + cancelled`; while requests are inside, the figures are read one after
/// another and may differ by what happens in between.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PipelineStats {
    /// Calls of `submit` and its like that reached the door.
    pub submitted: u64,
    /// Turned away at the door.
    pub refused: u64,
    /// Turned away at the door, by reason.
    pub refused_by_reason: Vec<(RefuseReason, u64)>,
    /// Left by their caller before they were let in.
    pub withdrawn: u64,
    /// Let in.
    pub accepted: u64,
    /// Answered in full.
    pub answered: u64,
    /// Ended by a stage, a worker or a time limit.
    pub failed: u64,
    /// Dropped from a queue; [`StageStats::shed_by_reason`] tells where and why.
    pub shed: u64,
    /// Cancelled by their caller, a drain, or the end of the runtime.
    pub cancelled: u64,
    /// Panics caught, each of which is also one of `failed`.
    pub panics: u64,
    /// Let in and not ended.
    pub in_flight: u64,
    /// Tokens as the workers counted them.
    pub usage: Usage,
    /// From submission to the answer, of those answered.
    pub total: Distribution,
    /// From submission to the first token of a stream; each inference stage makes one.
    pub first_token: Distribution,
    /// From one token to the next, as they come from the worker.
    pub between_tokens: Distribution,
    /// The stages in order.
    pub stages: Vec<StageStats>,
}

/// What one stage has done so far, and what waits in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageStats {
    /// The stage's name.
    pub name: String,
    /// Requests in its queue now; 0 for an inline stage.
    pub depth: usize,
    /// Time in its queue.
    pub wait: Distribution,
    /// Time in its `run`.
    pub run: Distribution,
    /// Dropped from its queue, by reason.
    pub shed_by_reason: Vec<(ShedReason, u64)>,
}

impl PipelineStats {
    /// Reads what pipelines of one shape have done together; one of them, or the shards of a whole.
    pub(crate) fn read(pipelines: &[&Shared]) -> Self {
        let each: Vec<Counts> = pipelines.iter().map(|shared| shared.counters.read()).collect();
        let submitted = pipelines.iter().zip(&each).map(|(shared, counts)| shared.submitted(counts)).sum();
        let counts: Counts = each.into_iter().sum();
        let all = |histogram: fn(&Counters) -> &Histogram| {
            Histogram::merged(pipelines.iter().map(|shared| histogram(&shared.counters)))
        };
        let stages = pipelines.first().map_or(0, |shared| shared.stages.len());
        Self {
            submitted,
            refused: counts.refused.iter().sum(),
            refused_by_reason: RefuseReason::ALL.into_iter().zip(counts.refused).collect(),
            withdrawn: counts.withdrawn,
            accepted: pipelines.iter().map(|shared| shared.accepted()).sum(),
            answered: counts.answered,
            failed: counts.failed,
            shed: counts.shed,
            cancelled: counts.cancelled,
            panics: counts.panics,
            in_flight: pipelines.iter().map(|shared| shared.in_flight()).sum(),
            usage: counts.usage,
            total: all(|counters| &counters.total),
            first_token: all(|counters| &counters.first_token),
            between_tokens: all(|counters| &counters.between_tokens),
            stages: (0..stages).map(|stage| StageStats::read(pipelines, stage)).collect(),
        }
    }
}

impl StageStats {
    /// Reads what stage number `stage` of each has done.
    fn read(pipelines: &[&Shared], stage: usize) -> Self {
        let each = || pipelines.iter().filter_map(|shared| shared.stages.get(stage));
        let depth = |shared: &Shared| {
            let segment = shared.stages.get(stage)?.segment?;
            Some(shared.segments[segment].queue.depth().admitted)
        };
        let mut sheds = [0; ShedReason::ALL.len()];
        each().for_each(|counters| add(&mut sheds, counters.sheds()));
        Self {
            name: each().next().map_or_else(String::new, |counters| counters.name.to_string()),
            depth: pipelines.iter().filter_map(|shared| depth(shared)).sum(),
            wait: Histogram::merged(each().map(|counters| &counters.wait)),
            run: Histogram::merged(each().map(|counters| &counters.run)),
            shed_by_reason: ShedReason::ALL.into_iter().zip(sheds).collect(),
        }
    }
}
