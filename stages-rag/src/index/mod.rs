//! The index over words: what it keeps, and how a question becomes a search.

mod bm25;
mod document;
mod engine;
#[cfg(feature = "vector")]
mod vector;
mod words;

pub use bm25::Bm25Index;
pub use document::{Document, Fingerprint, Index};
#[cfg(feature = "vector")]
pub use vector::VectorIndex;
