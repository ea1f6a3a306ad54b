//! The filters of one request, one behind the other.

use crate::filter::{Filtered, TextFilter};

/// Passes text through filters in order, with two buffers that are kept for the whole answer.
pub(crate) struct Chain {
    filters: Vec<Box<dyn TextFilter>>,
    /// What came out of the last filter that changed something.
    text: String,
    /// Where the next one writes; empty between two filters.
    spare: String,
}

impl Chain {
    pub(crate) const fn new(filters: Vec<Box<dyn TextFilter>>) -> Self {
        Self { filters, text: String::new(), spare: String::new() }
    }

    /// Returns what takes the place of `text`, `None` where it goes on as it is.
    pub(crate) fn push(&mut self, text: &str) -> Option<&str> {
        let mut changed = false;
        for filter in &mut self.filters {
            let input = if changed { &self.text } else { text };
            if input.is_empty() {
                break;
            }
            if filter.push(input, &mut self.spare) == Filtered::Changed {
                changed = true;
                std::mem::swap(&mut self.text, &mut self.spare);
            }
            self.spare.clear();
        }
        changed.then_some(self.text.as_str())
    }

    /// Returns what the filters still held back: what comes out of one runs through those behind it.
    pub(crate) fn flush(&mut self) -> &str {
        self.text.clear();
        for filter in &mut self.filters {
            if self.text.is_empty() || filter.push(&self.text, &mut self.spare) == Filtered::Changed {
                std::mem::swap(&mut self.text, &mut self.spare);
            }
            self.spare.clear();
            filter.flush(&mut self.text);
        }
        &self.text
    }

    pub(crate) fn reset(&mut self) {
        for filter in &mut self.filters {
            filter.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trim::Trim;

    /// Writes what it gets in brackets, and a bar at the end.
    struct Brackets;

    impl TextFilter for Brackets {
        fn push(&mut self, text: &str, out: &mut String) -> Filtered {
            assert!(!text.is_empty(), "a filter is not bothered with nothing");
            assert!(out.is_empty());
            out.push('[');
            out.push_str(text);
            out.push(']');
            Filtered::Changed
        }

        fn flush(&mut self, out: &mut String) {
            out.push('|');
        }

        fn reset(&mut self) {}
    }

    /// Gives everything out at the end.
    struct Hold(String);

    impl TextFilter for Hold {
        fn push(&mut self, text: &str, _out: &mut String) -> Filtered {
            self.0.push_str(text);
            Filtered::Changed
        }

        fn flush(&mut self, out: &mut String) {
            out.push_str(&self.0);
        }

        fn reset(&mut self) {
            self.0.clear();
        }
    }

    fn chain(filters: impl IntoIterator<Item = Box<dyn TextFilter>>) -> Chain {
        Chain::new(filters.into_iter().collect())
    }

    #[test]
    fn the_first_filter_comes_first() {
        let mut chain = chain([Box::new(Trim::default()) as Box<dyn TextFilter>, Box::new(Brackets)]);
        assert_eq!(chain.push("  "), Some(""));
        assert_eq!(chain.push(" a "), Some("[a]"));
        assert_eq!(chain.push("b"), Some("[ b]"));
        assert_eq!(chain.push("c"), Some("[c]"));
    }

    #[test]
    fn unchanged_means_that_no_filter_changed_it() {
        let mut chain = chain([Box::new(Trim::default()) as Box<dyn TextFilter>, Box::new(Trim::default())]);
        assert_eq!(chain.push("a"), None);
        assert_eq!(chain.push(" "), Some(""));
        assert_eq!(chain.push("b"), Some(" b"));
        assert_eq!(chain.push(" c"), None);
    }

    #[test]
    fn what_is_flushed_runs_through_the_filters_behind() {
        let hold = || Box::new(Hold(String::new())) as Box<dyn TextFilter>;
        let mut brackets = chain([hold(), Box::new(Brackets)]);
        assert_eq!(brackets.push("a"), Some(""));
        assert_eq!(brackets.push(" b"), Some(""));
        assert_eq!(brackets.flush(), "[a b]|");

        // A filter that lets the flushed text pass as it is must not lose it.
        let mut unchanged = chain([hold(), Box::new(Trim::default())]);
        assert_eq!(unchanged.push("a b"), Some(""));
        assert_eq!(unchanged.flush(), "a b");
    }

    #[test]
    fn what_is_written_beside_unchanged_is_dropped() {
        /// Writes although it says that it did not.
        struct Scribble;

        impl TextFilter for Scribble {
            fn push(&mut self, _text: &str, out: &mut String) -> Filtered {
                out.push_str("scribble");
                Filtered::Unchanged
            }

            fn flush(&mut self, _out: &mut String) {}

            fn reset(&mut self) {}
        }

        let scribble = || Box::new(Scribble) as Box<dyn TextFilter>;
        let mut chain = chain([scribble(), Box::new(Brackets), scribble(), Box::new(Brackets)]);
        assert_eq!(chain.push("a"), Some("[[a]]"));
        assert_eq!(chain.push("b"), Some("[[b]]"));
        assert_eq!(chain.flush(), "[|]|");
    }

    #[test]
    fn a_reset_reaches_every_filter() {
        let hold = || Box::new(Hold(String::new())) as Box<dyn TextFilter>;
        let mut chain = chain([hold(), hold()]);
        assert_eq!(chain.push("void"), Some(""));
        chain.reset();
        assert_eq!(chain.push("new"), Some(""));
        assert_eq!(chain.flush(), "new");
    }
}
