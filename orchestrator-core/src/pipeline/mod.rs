//! Pipelines: how one is put together, and what its handle can do.

mod builder;
mod door;
mod drain;
mod handle;
mod reserve;
mod service;

pub use builder::Builder;
pub use drain::DrainReport;
pub use handle::Pipeline;
