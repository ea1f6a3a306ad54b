//! What tests of pipelines, stages and workers are made of: a scripted worker, a scripted server, and a clock.

mod clock;
mod mock;
mod script;
pub mod server;

pub use clock::HeldClock;
pub use mock::{MockStats, MockWorker};
pub use script::Script;
