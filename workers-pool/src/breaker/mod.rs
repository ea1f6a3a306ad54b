//! Circuit breakers: a worker that fails is left alone for a while, and then asked by one request.

mod call;
mod circuit;
mod config;
mod gate;
mod guard;
#[cfg(test)]
mod tests;
mod window;
mod worker;

pub use circuit::BreakerState;
pub(crate) use circuit::PROBED;
pub use config::BreakerConfig;
pub(crate) use guard::Guard;
pub(crate) use window::{Counts, Window};
pub use worker::{Breaker, BreakerStats};
