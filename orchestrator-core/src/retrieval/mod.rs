//! Passages, where they come from, and how they are asked for.
//!
//! The traits and types that retrieval and workers share. Indexes and the stages around them live in `stages-rag`.

mod embedder;
mod filter;
mod passage;
mod retriever;

pub use embedder::{Embedded, Embedder};
pub use filter::Filter;
pub use passage::{Passage, Passages, Source};
pub use retriever::{Query, Retriever};
