//! The documents of a folder: which files count, and what was passed over.
//!
//! Cutting them is the business of [`chunk`](crate::chunk).

mod folder;
mod skipped;

pub(crate) use folder::read_folder;
pub use skipped::{SkipReason, SkippedFile};
