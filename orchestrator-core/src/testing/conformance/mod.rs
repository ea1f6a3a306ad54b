//! The contract of [`ModelWorker`](crate::worker::ModelWorker) as a suite that every worker can be held to.
//!
//! Two levels. [`check`] takes any worker as it is and looks at what it answers, whether it stops when it is dropped, and
//! whether it keeps to its slots:
//!
//! ```
//! use orchestrator_core::testing::{MockWorker, Script, conformance};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
//! let worker = MockWorker::new(Script::answering("one two three"));
//! let probe = worker.clone();
//! conformance::check(worker).in_flight(move || probe.stats().live).run().await.assert();
//! # });
//! ```
//!
//! A [`Suite`] is for workers that talk to a server over HTTP. It points the worker at a
//! [`ScriptedServer`](crate::testing::server::ScriptedServer) that answers well, badly, late, in pieces, too much, or not at
//! all, and looks at both ends. What a good and a bad answer consist of on the wire is said by a [`Dialect`]:
//!
//! ```no_run
//! use orchestrator_core::prelude::*;
//! use orchestrator_core::testing::conformance::{Dialect, Suite, Target};
//! use orchestrator_core::worker::Timeouts;
//!
//! # struct Chat;
//! # #[async_trait]
//! # impl ModelWorker for Chat {
//! #     async fn infer(&self, _: InferenceRequest) -> Result<TokenStream, WorkerError> { Err(WorkerError::stream_cut()) }
//! # }
//! # impl Chat { fn new(_url: String, _key: String, _limits: Timeouts) -> Self { Self } }
//! # async fn conforms() {
//! let make = |target: Target| async move { Chat::new(target.base_url, target.key, target.timeouts) };
//! Suite::new(Dialect::openai_chat(), make).run().await.assert();
//! # }
//! ```
//!
//! The key that a suite gives its workers is looked for in every error that they give, with all that stands behind it, and in
//! the spans and events of `tracing`. Two places it cannot look into, and a test of your own should: what the worker's `Debug`
//! form shows, which a [`ModelWorker`](crate::worker::ModelWorker) need not have, and records of the `log` crate, whose one
//! logger belongs to the process.
//!
//! Both return a [`ConformanceReport`], in which every check has passed, failed, or was left out, and why. They run on the
//! running clock, in two to three seconds; run them on a current-thread runtime of their own, as they count its tasks and
//! listen to the spans and events of its thread.

mod answers;
mod any;
mod bench;
mod dialect;
mod faults;
mod flow;
mod http_date;
mod leaving;
mod limits;
mod openai_chat;
mod reading;
mod refusal;
mod report;
mod secrets;
mod slots;
mod suite;
#[cfg(test)]
mod tests;

pub use any::{Check, check};
pub use dialect::{Dialect, Ending};
pub use refusal::{Refusal, RetryAfter};
pub use report::{ConformanceReport, Finding, Verdict};
pub use suite::{Suite, Target};
