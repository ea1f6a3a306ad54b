//! The most text that an answer may have.

use orchestrator_core::token::FinishReason;

use crate::boundary::floor;
use crate::filter::{Filtered, TextFilter};

/// Ends the answer where it gets longer than a number of bytes.
#[derive(Debug)]
pub(crate) struct MaxBytes {
    limit: usize,
    left: usize,
}

impl MaxBytes {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }
}

impl TextFilter for MaxBytes {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        if text.len() <= self.left {
            self.left -= text.len();
            return Filtered::Unchanged;
        }
        out.push_str(&text[..floor(text, self.left)]);
        Filtered::End(FinishReason::Length)
    }

    fn flush(&mut self, _out: &mut String) {}

    fn reset(&mut self) {
        self.left = self.limit;
    }
}
