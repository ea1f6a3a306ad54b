//! The filter that redacts.

use std::sync::Arc;

use crate::filter::{Filtered, TextFilter};
use crate::redact::Rules;
use crate::redact::escapes::Escapes;
use crate::scan::{Found, Scan};

/// Takes out what the rules' patterns match.
///
/// What is decided goes on; what a match may still reach is held. A span's replacement is written when the span's start is
/// decided, and the rest of the span dropped as it comes.
#[derive(Debug)]
pub(crate) struct Redact {
    rules: Arc<Rules>,
    scan: Scan,
    /// For JSON: the text as it is, where the scanner is shown another one.
    escapes: Option<Escapes>,
    /// Matches that start in what is held, by their start and the pattern's number.
    matches: Vec<Found>,
    /// Up to here the text has gone on, or was dropped.
    passed: usize,
    /// Up to here it is dropped; not above `passed` where nothing is.
    dropped: usize,
}

impl Redact {
    /// For text.
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        let scan = Scan::new(rules.patterns.clone());
        Self { rules, scan, escapes: None, matches: Vec::new(), passed: 0, dropped: 0 }
    }

    /// For JSON: escapes are told from text, and never cut.
    pub(crate) fn json(rules: Arc<Rules>) -> Self {
        Self { escapes: Some(Escapes::default()), ..Self::new(rules) }
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

    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.scan.steps
    }

    /// Sorts what was found into `matches`.
    fn take(&mut self) {
        if self.scan.found.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.scan.found);
        for mut found in all.drain(..) {
            found.start = self.outside(found.start);
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
        self.scan.found = all;
    }

    /// Lets the text go on up to `settled`.
    fn pass(&mut self, settled: usize, out: &mut String) {
        let mut spans = 0;
        for place in 0..self.matches.len() {
            let found = self.matches[place];
            if found.start >= self.dropped {
                if found.start >= settled {
                    break;
                }
                self.write(found.start, out);
                out.push_str(self.rules.replacement(found.number, self.escapes.is_some()));
                self.passed = found.start;
            }
            self.dropped = self.dropped.max(found.end);
            spans += 1;
        }
        self.matches.drain(..spans);
        self.write(settled, out);
        self.forget(settled);
    }

    /// Writes what is not dropped up to `to`.
    fn write(&self, to: usize, out: &mut String) {
        let mut from = self.passed.max(self.dropped);
        let Some(escapes) = &self.escapes else {
            if from < to {
                out.push_str(self.scan.text(from, to));
            }
            return;
        };
        // The rest of an escape goes with its beginning.
        while from < to && escapes.is_inside(from, self.scan.byte(from)) {
            from += 1;
        }
        if from < to {
            out.push_str(escapes.text(from, to));
        }
    }

    fn forget(&mut self, settled: usize) {
        self.passed = settled;
        self.scan.forget(settled);
        if let Some(escapes) = &mut self.escapes {
            escapes.forget(settled);
        }
    }

    /// Returns the last position up to `position` that is not inside of an escape.
    fn outside(&self, mut position: usize) -> usize {
        if let Some(escapes) = &self.escapes {
            while position > self.passed && escapes.is_inside(position, self.scan.byte(position)) {
                position -= 1;
            }
        }
        position
    }
}

impl TextFilter for Redact {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let nothing_held = self.passed == self.scan.end();
        match &mut self.escapes {
            None => self.scan.push(text),
            Some(escapes) => self.scan.push(escapes.push(text)),
        }
        self.take();
        let settled = self.outside(self.scan.settled());
        if settled == self.passed {
            return Filtered::Changed;
        }
        let nothing_found = self.matches.is_empty() && self.dropped <= self.passed;
        if nothing_found && nothing_held && settled == self.scan.end() {
            self.forget(settled);
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
        if let Some(escapes) = &mut self.escapes {
            escapes.reset();
        }
        self.matches.clear();
        self.passed = 0;
        self.dropped = 0;
    }
}
