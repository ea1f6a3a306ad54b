//! What an index owes, the index over words, and the one over vectors.

mod blocking;
mod document;
mod pair;
#[cfg(feature = "vector")]
mod vector;
mod words;

pub use document::{Document, Fingerprint, Index};
#[cfg(feature = "vector")]
pub use vector::VectorIndex;
pub use words::{Bm25Builder, Bm25Index, Language, Languages};
