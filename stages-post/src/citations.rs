//! The marks with which an answer names its sources.

use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::InvalidInput;
use orchestrator_core::retrieval::{Passage, Passages};

use crate::filter::{Filtered, TextFilter};
use crate::scan::{Pattern, Patterns, Scan};

/// The passages that an answer has cited so far, by their number in the prompt, from 1; each once, in the order of their first
/// mention.
///
/// [`PostStage::citations`](crate::PostStage::citations) keeps it with the request:
/// `answer.context().get::<Citations>()`. Marks whose number no passage has are not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Citations(pub Vec<usize>);

/// One mark: up to eight numbers.
const MARK: &str = r"\[[0-9]{1,3}(?: ?, ?[0-9]{1,3}){0,7}\]";

pub(crate) fn compile() -> Result<Arc<Patterns>, InvalidInput> {
    let patterns = Patterns::at_once(&[Pattern::new("mark", MARK)]);
    Ok(Arc::new(patterns.map_err(|error| InvalidInput::new("citations", error.to_string()))?))
}

/// What a caller makes of a number and its passage.
pub(crate) type Link = dyn Fn(usize, Option<&Passage>) -> Option<String> + Send + Sync;

/// Replaces marks by what the caller makes of them.
pub(crate) struct Cite {
    scan: Scan,
    passed: usize,
    link: Arc<Link>,
    cx: Context,
    passages: Arc<[Passage]>,
    cited: Vec<usize>,
}

impl Cite {
    pub(crate) fn new(marks: Arc<Patterns>, link: Arc<Link>, cx: &Context) -> Self {
        let passages = cx.get::<Passages>().map(|passages| passages.0.clone()).unwrap_or_default();
        Self { scan: Scan::new(marks), passed: 0, link, cx: cx.clone(), passages, cited: Vec::new() }
    }

    /// Writes what takes the mark's place. A number of which the caller makes nothing stays, as a mark of its own where it
    /// stood among others.
    fn resolve(&mut self, start: usize, end: usize, out: &mut String) {
        let mark = self.scan.text(start, end);
        let mut written = String::new();
        let mut resolved = false;
        let mut new = false;
        for digits in mark[1..mark.len() - 1].split(',').map(str::trim) {
            let number: usize = digits.parse().expect("up to three digits");
            let passage = number.checked_sub(1).and_then(|place| self.passages.get(place));
            if passage.is_some() && !self.cited.contains(&number) {
                self.cited.push(number);
                new = true;
            }
            match (self.link)(number, passage) {
                Some(link) => {
                    resolved = true;
                    written.push_str(&link);
                }
                None => written.extend(["[", digits, "]"]),
            }
        }
        out.push_str(if resolved { &written } else { mark });
        if new {
            self.cx.insert(Citations(self.cited.clone()));
        }
    }
}

impl TextFilter for Cite {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let nothing_held = self.passed == self.scan.end();
        self.scan.push(text);
        let found = std::mem::take(&mut self.scan.found);
        for mark in &found {
            out.push_str(self.scan.text(self.passed, mark.start));
            self.resolve(mark.start, mark.end, out);
            self.passed = mark.end;
        }
        // Marks have no text in common, so behind one everything is decided.
        self.scan.let_go(&mut self.passed, found.is_empty() && nothing_held, out)
    }

    fn flush(&mut self, out: &mut String) {
        out.push_str(self.scan.text(self.passed, self.scan.end()));
    }

    fn reset(&mut self) {
        self.scan.reset();
        self.passed = 0;
        self.cited.clear();
        self.cx.insert(Citations::default());
    }
}
