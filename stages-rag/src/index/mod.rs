//! The index over words: what it keeps, and how a question becomes a search.

mod bm25;
mod engine;
mod words;

pub use bm25::Bm25Index;
