//! Reasoning that a model writes into its answer, between tags.

use std::sync::Arc;

use orchestrator_core::error::InvalidInput;

use crate::boundary::block;
use crate::scan::{Pattern, Patterns, Scan};

/// The tags between which a model writes its reasoning, for
/// [`PostStage::split_reasoning_with`](crate::PostStage::split_reasoning_with).
///
/// ```
/// use stages_post::{PostStage, ReasoningTags};
///
/// let post = PostStage::new().split_reasoning_with(ReasoningTags::new("[THINK]", "[/THINK]").opened());
/// # drop(post);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ReasoningTags {
    open: String,
    close: String,
    opened: bool,
}

impl ReasoningTags {
    /// Names the tag before the reasoning and the one behind it.
    pub fn new(open: impl Into<String>, close: impl Into<String>) -> Self {
        Self { open: open.into(), close: close.into(), opened: false }
    }

    /// Takes the beginning of an answer for reasoning, up to the first closing tag.
    ///
    /// For models whose prompt template ends with the opening tag.
    pub const fn opened(mut self) -> Self {
        self.opened = true;
        self
    }

    pub(crate) fn compile(&self) -> Result<Splitter, InvalidInput> {
        let tag = |tag: &str| match Patterns::at_once(&[Pattern::literal(tag)]) {
            _ if tag.is_empty() => Err(InvalidInput::new("split_reasoning", "needs tags that are not empty")),
            Ok(patterns) => Ok(Arc::new(patterns)),
            Err(error) => Err(InvalidInput::new("split_reasoning", error.to_string())),
        };
        Ok(Splitter { tags: [tag(&self.open)?, tag(&self.close)?], opened: self.opened })
    }
}

impl Default for ReasoningTags {
    /// `<think>` and `</think>`.
    fn default() -> Self {
        Self::new("<think>", "</think>")
    }
}

/// Tags, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    /// The opening and the closing one.
    tags: [Arc<Patterns>; 2],
    opened: bool,
}

/// Which kind of text a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Reasoning,
}

/// Splits the text of one answer.
#[derive(Debug)]
pub(crate) struct Split {
    opened: bool,
    /// What the text is now.
    kind: Kind,
    /// The scanners for the tag that ends text, and for the one that ends reasoning.
    scans: [Scan; 2],
    /// Up to here the text since the last tag has gone on.
    passed: usize,
    /// What the last push was split into, unless it went on whole.
    pub(crate) parts: Vec<(Kind, String)>,
}

impl Split {
    pub(crate) fn new(splitter: &Splitter) -> Self {
        let scans = splitter.tags.clone().map(Scan::new);
        let mut split = Self { opened: splitter.opened, kind: Kind::Text, scans, passed: 0, parts: Vec::new() };
        split.kind = split.first();
        split
    }

    const fn first(&self) -> Kind {
        if self.opened { Kind::Reasoning } else { Kind::Text }
    }

    /// Takes the next piece. Returns its kind where it goes on as it is; else what goes on stands in `parts`.
    pub(crate) fn push(&mut self, piece: &str) -> Option<Kind> {
        self.parts.clear();
        let mut rest = piece;
        while !rest.is_empty() {
            let scan = &mut self.scans[self.kind as usize];
            let before = scan.end();
            let (next, behind) = block(rest);
            scan.push(next);
            let Some(tag) = scan.found.first().copied() else {
                rest = behind;
                continue;
            };
            self.parts.push((self.kind, scan.text(self.passed, tag.start).to_owned()));
            scan.reset();
            self.passed = 0;
            self.kind = if self.kind == Kind::Text { Kind::Reasoning } else { Kind::Text };
            rest = &rest[tag.end - before..];
        }
        let scan = &mut self.scans[self.kind as usize];
        let settled = scan.settled();
        let whole = self.parts.is_empty() && scan.end() - self.passed == piece.len() && settled == scan.end();
        if !whole {
            self.parts.push((self.kind, scan.text(self.passed, settled).to_owned()));
        }
        self.passed = settled;
        scan.forget(settled);
        whole.then_some(self.kind)
    }

    /// Returns what was held back because it could have been the beginning of a tag.
    pub(crate) fn flush(&mut self) -> (Kind, String) {
        let scan = &self.scans[self.kind as usize];
        (self.kind, scan.text(self.passed, scan.end()).to_owned())
    }

    pub(crate) fn reset(&mut self) {
        self.scans.iter_mut().for_each(Scan::reset);
        self.kind = self.first();
        self.passed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_piece_full_of_tags_is_read_about_once() {
        let mut split = Split::new(&ReasoningTags::default().compile().expect("usable tags"));
        let piece = "<think>a</think>b".repeat(20_000);
        assert_eq!(split.push(&piece), None);
        assert_eq!(split.parts.len(), 40_001);
        let steps: usize = split.scans.iter().map(|scan| scan.steps).sum();
        // What is behind a tag in its block is read again.
        assert!(steps <= 40 * piece.len(), "{steps} steps for {} bytes", piece.len());
    }
}
