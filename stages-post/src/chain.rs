//! The filters of one request, one behind the other.

use orchestrator_core::token::FinishReason;

use crate::filter::{Filtered, TextFilter};

/// What became of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed<'a> {
    /// It goes on as it is.
    Unchanged,
    /// This goes on in its place.
    Changed(&'a str),
    /// This goes on in its place, and the answer ends.
    Ended(&'a str, FinishReason),
}

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

    /// Takes the next piece.
    pub(crate) fn push(&mut self, text: &str) -> Passed<'_> {
        let mut changed = false;
        for place in 0..self.filters.len() {
            let input = if changed { &self.text } else { text };
            if input.is_empty() {
                break;
            }
            match self.filters[place].push(input, &mut self.spare) {
                Filtered::Unchanged => {}
                Filtered::Changed => {
                    changed = true;
                    std::mem::swap(&mut self.text, &mut self.spare);
                }
                Filtered::End(reason) => {
                    std::mem::swap(&mut self.text, &mut self.spare);
                    self.spare.clear();
                    let reason = self.complete(place + 1).unwrap_or(reason);
                    return Passed::Ended(&self.text, reason);
                }
            }
            self.spare.clear();
        }
        if changed { Passed::Changed(&self.text) } else { Passed::Unchanged }
    }

    /// Returns what the filters still held back, and the reason where one of them ends the answer with it.
    pub(crate) fn flush(&mut self) -> (&str, Option<FinishReason>) {
        self.text.clear();
        let reason = self.complete(0);
        (&self.text, reason)
    }

    /// Passes what stands in `text` through the filters from `place` on, together with what each of them still holds.
    fn complete(&mut self, place: usize) -> Option<FinishReason> {
        let mut ended = None;
        for filter in &mut self.filters[place..] {
            let pushed =
                if self.text.is_empty() { Filtered::Changed } else { filter.push(&self.text, &mut self.spare) };
            if pushed != Filtered::Unchanged {
                std::mem::swap(&mut self.text, &mut self.spare);
            }
            self.spare.clear();
            match pushed {
                // It has nothing to say behind its own end.
                Filtered::End(reason) => ended = Some(reason),
                Filtered::Unchanged | Filtered::Changed => filter.flush(&mut self.text),
            }
        }
        ended
    }

    pub(crate) fn reset(&mut self) {
        for filter in &mut self.filters {
            filter.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use Passed::{Changed, Ended, Unchanged};

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
        assert_eq!(chain.push("  "), Changed(""));
        assert_eq!(chain.push(" a "), Changed("[a]"));
        assert_eq!(chain.push("b"), Changed("[ b]"));
        assert_eq!(chain.push("c"), Changed("[c]"));
    }

    #[test]
    fn unchanged_means_that_no_filter_changed_it() {
        let mut chain = chain([Box::new(Trim::default()) as Box<dyn TextFilter>, Box::new(Trim::default())]);
        assert_eq!(chain.push("a"), Unchanged);
        assert_eq!(chain.push(" "), Changed(""));
        assert_eq!(chain.push("b"), Changed(" b"));
        assert_eq!(chain.push(" c"), Unchanged);
    }

    #[test]
    fn what_is_flushed_runs_through_the_filters_behind() {
        let hold = || Box::new(Hold(String::new())) as Box<dyn TextFilter>;
        let mut brackets = chain([hold(), Box::new(Brackets)]);
        assert_eq!(brackets.push("a"), Changed(""));
        assert_eq!(brackets.push(" b"), Changed(""));
        assert_eq!(brackets.flush(), ("[a b]|", None));

        // A filter that lets the flushed text pass as it is must not lose it.
        let mut unchanged = chain([hold(), Box::new(Trim::default())]);
        assert_eq!(unchanged.push("a b"), Changed(""));
        assert_eq!(unchanged.flush(), ("a b", None));
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
        assert_eq!(chain.push("a"), Changed("[[a]]"));
        assert_eq!(chain.push("b"), Changed("[[b]]"));
        assert_eq!(chain.flush(), ("[|]|", None));
    }

    #[test]
    fn a_reset_reaches_every_filter() {
        let hold = || Box::new(Hold(String::new())) as Box<dyn TextFilter>;
        let mut chain = chain([hold(), hold()]);
        assert_eq!(chain.push("void"), Changed(""));
        chain.reset();
        assert_eq!(chain.push("new"), Changed(""));
        assert_eq!(chain.flush(), ("new", None));
    }

    /// Ends the answer with what comes before a dot.
    struct UpToDot(FinishReason);

    impl TextFilter for UpToDot {
        fn push(&mut self, text: &str, out: &mut String) -> Filtered {
            let Some((before, _)) = text.split_once('.') else { return Filtered::Unchanged };
            out.push_str(before);
            Filtered::End(self.0)
        }

        fn flush(&mut self, out: &mut String) {
            out.push_str("(never)");
        }

        fn reset(&mut self) {}
    }

    #[test]
    fn an_end_drops_what_is_held_before_and_flushes_what_is_behind() {
        let up_to_dot = || Box::new(UpToDot(FinishReason::Stop)) as Box<dyn TextFilter>;
        let hold = || Box::new(Hold(String::new())) as Box<dyn TextFilter>;
        let mut chain =
            chain([Box::new(Trim::default()) as Box<dyn TextFilter>, up_to_dot(), hold(), Box::new(Brackets)]);
        assert_eq!(chain.push("a "), Changed(""));
        assert_eq!(chain.push("b.c "), Ended("[a b]|", FinishReason::Stop));
    }

    #[test]
    fn the_last_filter_that_ends_the_answer_says_why() {
        let up_to_dot = |reason| Box::new(UpToDot(reason)) as Box<dyn TextFilter>;
        let mut both = chain([
            Box::new(Hold(String::new())) as Box<dyn TextFilter>,
            up_to_dot(FinishReason::Stop),
            up_to_dot(FinishReason::Length),
        ]);
        assert_eq!(both.push("a.b"), Changed(""));
        assert_eq!(both.flush(), ("a(never)", Some(FinishReason::Stop)));
    }
}
