//! Retrievers around retrievers, and an embedder for trying them out.

mod diverse;
mod erased;
mod hashing;
mod hybrid;
mod reranked;

pub use diverse::Diverse;
pub use hashing::HashingEmbedder;
pub use hybrid::Hybrid;
pub use reranked::{Reranked, Reranker};
