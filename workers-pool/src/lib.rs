//! Many workers as one: a pool that routes, retries, breaks circuits and fails over, for `ModelWorker`s of any kind.

mod attempt;
mod breaker;
mod consequence;
mod fail_over;
mod pace;
pub mod policy;
mod pool;
mod retry;
#[cfg(test)]
mod scripted;
mod timed;

pub use breaker::{Breaker, BreakerConfig, BreakerState, BreakerStats};
pub use fail_over::{FailOver, Resume};
pub use pace::Pace;
pub use pool::{BuildError, Member, MemberState, MemberStats, Pool, PoolBuilder, PoolEmbedder, PoolStats};
pub use retry::{Retry, RetryMeter, RetryStats};
pub use timed::Timed;
