//! The runtime of prompt-orchestrator: pipelines of composable stages on bounded queues, and the traits that stages,
//! workers and retrievers implement.
//!
//! It knows no HTTP, no model and no metrics exporter. Most users depend on the `prompt-orchestrator` facade, which
//! adds ready-made stages and workers.
//!
//! | start reading at | for |
//! |---|---|
//! | [`pipeline::Pipeline`] | putting stages together, submitting, draining |
//! | [`stage::Stage`] | writing a step of your own |
//! | [`worker::ModelWorker`] | putting a model server behind the pipeline |
//! | [`answer::Answer`] | what a caller holds of its request |
//! | [`shards::Shards`] | a pipeline per core, and sessions at home on one of them |
//!
//! # Examples
//!
//! ```
//! use orchestrator_core::prelude::*;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
//! let pipeline = Pipeline::builder("shout")
//!     .then("upper", |_cx, text: String| async move { Ok::<_, BoxError>(text.to_uppercase()) })
//!     .build()?;
//! let mut answer = pipeline.submit("backpressure".to_owned()).await?;
//! assert_eq!(answer.output().await?, "BACKPRESSURE");
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
//! ```

mod admission;
pub mod answer;
pub mod context;
pub mod error;
pub mod pipeline;
pub mod prelude;
mod queue;
pub mod request;
pub mod retrieval;
mod runtime;
pub mod shards;
pub mod stage;
pub mod stats;
pub mod tenants;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod token;
pub mod worker;
