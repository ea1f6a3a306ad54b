//! Another attempt of what failed, before anything of the answer was handed on.

mod budget;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use budget::Budget;
pub use worker::{Retry, RetryMeter, RetryStats};
