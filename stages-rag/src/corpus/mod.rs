//! The documents of a folder: which files count, what was passed over, and how an index follows them.
//!
//! Getting text out of a file is the business of [`extract`](crate::extract), cutting it that of
//! [`chunk`](crate::chunk).

mod folder;
mod limits;
mod list;
mod progress;
mod read;
mod seen;
mod skipped;
mod sync;
#[cfg(feature = "watch")]
mod watch;

pub use folder::Folder;
pub use limits::{Limit, Limits};
pub use progress::Progress;
pub use skipped::{SkipReason, SkippedFile};
pub use sync::SyncReport;
#[cfg(feature = "watch")]
pub use watch::Watch;
