//! Many workers as one: a pool that routes, retries, breaks circuits and fails over, for `ModelWorker`s of any kind.

mod breaker;
mod consequence;
pub mod policy;
mod pool;
mod timed;

pub use breaker::{Breaker, BreakerConfig, BreakerState, BreakerStats};
pub use pool::{BuildError, Member, MemberState, MemberStats, Pool, PoolBuilder, PoolStats};
pub use timed::Timed;
