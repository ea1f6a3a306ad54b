//! The filter that redacts.

use std::sync::Arc;

use crate::filter::{Filtered, TextFilter};
use crate::redact::Rules;
use crate::scan::{Found, Scan};

/// Takes out what the rules' patterns match.
///
/// What is decided goes on; what a match may still reach is held. A span's replacement is written when the span's start is
/// decided, and the rest of the span dropped as it comes.
#[derive(Debug)]
pub(crate) struct Redact {
    rules: Arc<Rules>,
    scan: Scan,
    /// Matches that start in what is held, by their start and the pattern's number.
    matches: Vec<Found>,
    /// Up to here the text has gone on, or was dropped.
    passed: usize,
    /// Up to here it is dropped; not above `passed` where nothing is.
    dropped: usize,
}

impl Redact {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        let scan = Scan::new(rules.patterns.clone());
        Self { rules, scan, matches: Vec::new(), passed: 0, dropped: 0 }
    }

    /// How much of the text has neither gone on nor been dropped.
    #[cfg(test)]
    pub(super) fn lag(&self) -> usize {
        self.scan.end() - self.passed
    }

    /// What it keeps in memory, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.scan.kept() + self.matches.capacity() * size_of::<Found>()
    }

    /// Sorts what was found into `matches`.
    fn take(&mut self) {
        for found in self.scan.found.drain(..) {
            if found.start < self.dropped || found.start < self.passed {
                // A part of the span that is being dropped.
                self.dropped = self.dropped.max(found.end);
                continue;
            }
            let key = (found.start, found.number);
            match self.matches.binary_search_by_key(&key, |other| (other.start, other.number)) {
                Ok(same) => self.matches[same].end = self.matches[same].end.max(found.end),
                Err(place) => self.matches.insert(place, found),
            }
        }
    }

    /// Lets the text go on up to `settled`.
    fn pass(&mut self, settled: usize, out: &mut String) {
        let mut spans = 0;
        for found in &self.matches {
            if found.start >= self.dropped {
                if found.start >= settled {
                    break;
                }
                out.push_str(self.scan.text(self.passed.max(self.dropped), found.start));
                out.push_str(&self.rules.replacements[found.number]);
                self.passed = found.start;
            }
            self.dropped = self.dropped.max(found.end);
            spans += 1;
        }
        self.matches.drain(..spans);
        let rest = self.passed.max(self.dropped);
        if rest < settled {
            out.push_str(self.scan.text(rest, settled));
        }
        self.passed = settled;
        self.scan.forget(settled);
    }
}

impl TextFilter for Redact {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let nothing_held = self.passed == self.scan.end();
        self.scan.push(text);
        self.take();
        let settled = self.scan.settled();
        let nothing_found = self.matches.is_empty() && self.dropped <= self.passed;
        if nothing_found && nothing_held && settled == self.scan.end() {
            self.passed = settled;
            self.scan.forget(settled);
            return Filtered::Unchanged;
        }
        self.pass(settled, out);
        Filtered::Changed
    }

    fn flush(&mut self, out: &mut String) {
        self.scan.finish();
        self.take();
        self.pass(self.scan.end(), out);
    }

    fn reset(&mut self) {
        self.scan.reset();
        self.matches.clear();
        self.passed = 0;
        self.dropped = 0;
    }
}
