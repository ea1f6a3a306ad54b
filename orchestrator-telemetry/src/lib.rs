//! What an operator sees of a service: [metrics](Metrics) for Prometheus, and [logs].
//!
//! What is counted is counted elsewhere: pipelines and pools keep their own figures, here they get a place to go to. All names
//! stand in one table, `docs/observability.md`.

pub mod logs;
mod metrics;
mod pools;
mod retries;

pub use crate::metrics::{InstallError, Metrics};
pub use pools::record_pools;
pub use retries::record_retries;
