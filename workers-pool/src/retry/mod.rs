//! Another attempt of what failed, before anything of the answer was handed on.

mod budget;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::{Retry, RetryStats};
