//! The error types, one per boundary.
//!
//! | type | says |
//! |---|---|
//! | [`InvalidInput`] | which field of an input is wrong |
//! | [`BuildError`] | everything that is wrong with a pipeline's plan |
//! | [`WorkerError`] | what a model server or a worker did wrong, classified once, at the wire |
//! | [`Error`] | how a request ended if it was not answered |

mod build;
mod invalid;
mod request;
mod worker;

pub use build::{BuildError, Fault};
pub use invalid::InvalidInput;
pub use request::{Error, ErrorKind, RefuseReason, ShedReason};
pub use worker::{Phase, WorkerError, WorkerErrorKind};

/// Any error of a stage, on its way to becoming an [`Error`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
