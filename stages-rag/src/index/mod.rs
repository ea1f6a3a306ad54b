//! What an index owes, and the index over words.

mod document;
mod words;

pub use document::{Document, Fingerprint, Index};
pub use words::{Bm25Builder, Bm25Index, Language, Languages};
