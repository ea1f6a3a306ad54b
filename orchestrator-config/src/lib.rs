//! Declared pipelines: from a file to a service that answers for models by name.
//!
//! [`file`] is what a file may say; [`Service`] is what is made of it.

pub mod file;
mod service;

pub use service::{Embeddings, Model, ModelName, Service, Texts};
