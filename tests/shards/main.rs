//! Pipelines on pinned threads: who runs where, what a session keeps, and how it all ends.

#[path = "../common/mod.rs"]
mod common;

mod build;
#[cfg(target_os = "linux")]
mod cores;
mod ending;
mod keeping;
mod metrics;
mod order;
mod placing;
mod servers;
mod session_state;
mod stats;
mod task;

/// Its errors come from other threads.
type TestResult = Result<(), prompt_orchestrator::error::BoxError>;
