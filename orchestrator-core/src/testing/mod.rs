//! What tests of pipelines, stages and workers are made of: a scripted worker, a scripted server, a
//! clock, and the suite that every worker is held to.

mod clock;
pub mod conformance;
mod mock;
mod script;
pub mod server;

pub use clock::HeldClock;
pub use mock::{MockStats, MockWorker};
pub use script::Script;
