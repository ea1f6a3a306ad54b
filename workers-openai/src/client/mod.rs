//! The way to a server that speaks HTTP and JSON, for workers to build on.
//!
//! [`Client`] knows where the server is and how to get in, sends JSON, reads JSON, text and event streams ([`Frames`]), and
//! turns whatever goes wrong on the way into a [`WorkerError`](orchestrator_core::error::WorkerError). What the JSON means is
//! left to the worker; what a refusal means is decided in [`error`](crate::error). [`Metrics`] reads what Prometheus reads.

mod builder;
mod endpoint;
mod frames;
mod handle;
mod line;
mod metrics;
mod outgoing;
mod read;
mod response;
mod secrets;
mod transport;

pub use builder::ClientBuilder;
pub use frames::Frames;
pub use handle::Client;
pub use metrics::Metrics;

pub(crate) use handle::Page;
