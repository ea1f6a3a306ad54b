//! A scripted worker, to test pipelines, stages and wrappers around workers without a server.

mod mock;
mod script;

pub use mock::{MockStats, MockWorker};
pub use script::Script;
