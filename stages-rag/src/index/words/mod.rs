//! The index over words: how texts become terms, what is kept of them, and how a question becomes a search.
//!
//! [`bm25`] is what users hold; [`engine`] owns the tantivy index behind it, [`writer`] its changes, [`snapshot`] what
//! searches see. [`language`], [`tokens`] and [`terms`] turn text into terms, [`schema`] passages into records.

mod bm25;
mod builder;
mod engine;
mod filter;
mod folder;
mod key;
mod language;
mod schema;
mod snapshot;
mod terms;
mod tokens;
mod writer;

pub use bm25::Bm25Index;
pub use builder::Bm25Builder;
pub use language::{Language, Languages};
