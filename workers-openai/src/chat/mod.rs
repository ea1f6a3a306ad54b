//! What is asked on `/v1/chat/completions`.
//!
//! [`request`] turns an [`InferenceRequest`](orchestrator_core::worker::InferenceRequest) into what is sent, in the
//! [`Dialect`] of a server; a worker may add fields of its own to it. It is sent with
//! [`Client::stream`](crate::client::Client::stream), and its answer read by [`answer::tokens`](crate::answer::tokens).

mod dialect;
mod message;
mod request;
mod vendor;

pub use dialect::Dialect;
pub use request::request;

pub(crate) use dialect::Json;
pub(crate) use request::Common;
