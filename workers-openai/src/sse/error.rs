//! What can be wrong with an event stream.

use std::num::NonZeroUsize;

/// Says that a line, or the data of an event, is longer than the decoder's limit.
///
/// There is nothing else to go wrong: by its specification any sequence of bytes is an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event exceeds the limit of {limit} bytes")]
pub struct SseError {
    pub(super) limit: NonZeroUsize,
}

impl SseError {
    /// Returns the limit that was passed, in bytes.
    pub fn limit(&self) -> NonZeroUsize {
        self.limit
    }
}
