//! What a pipeline counts: own atomic counters and histograms on the hot path, read by
//! [`Pipeline::stats`](crate::pipeline::Pipeline::stats) and passed on to the `metrics` facade by an owned task.

mod counters;
mod histogram;
mod publish;
mod snapshot;

pub(crate) use counters::{Counters, Counts, StageCounters};
pub(crate) use histogram::{Histogram, Tally};
pub(crate) use publish::Publisher;
pub use snapshot::{Distribution, PipelineStats, StageStats};
