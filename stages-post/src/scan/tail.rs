//! What follows a head.

use regex_automata::Anchored;
use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::scan::automaton::begin;
use crate::scan::patterns::Each;

/// Of what has to follow, so many bytes are enough at the end of the text: an answer that was cut inside of a key has most of
/// it.
pub(super) const CUT: usize = 6;

/// What follows one head, as far as it has come. Positions are bytes from the answer's start.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) number: usize,
    pub(super) start: usize,
    /// Where its head ends.
    head: usize,
    /// Up to here it is a match; `None` while what has to follow is not complete.
    pub(super) reach: Option<usize>,
    /// The byte that is read next.
    at: usize,
    /// `None` once nothing more can belong to it.
    state: Option<StateID>,
}

impl Follow {
    /// Begins behind a head.
    pub(super) fn new(number: usize, each: &Each, start: usize, end: usize) -> Self {
        let state = each.tail.as_ref().map(|table| begin(table, Anchored::Yes, None));
        Self { number, start, head: end, reach: (!each.needs_more).then_some(end), at: end, state }
    }

    #[cfg(test)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.is_none()
    }

    /// Up to where the text is decided as far as this is concerned.
    pub(super) fn settled(&self) -> usize {
        self.reach.unwrap_or(self.start)
    }

    /// Whether `other`, a later one, can add nothing to this.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.number == other.number && self.state == other.state && self.reach.is_some() && other.reach.is_some()
    }

    /// Reads on in `text`, which begins at `base`; `last` where nothing comes behind it. Returns whether the match has grown.
    pub(super) fn read(&mut self, each: &Each, text: &str, base: usize, last: bool) -> bool {
        let (Some(table), Some(mut state)) = (&each.tail, self.state) else { return false };
        let reach = self.reach;
        while let Some(byte) = text.as_bytes().get(self.at - base) {
            state = table.next_state(state, *byte);
            // A match is told by the byte behind it.
            let goes_on = if table.is_match_state(state) { self.is_match(each, text, base) } else { true };
            if !goes_on || table.is_dead_state(state) {
                self.state = None;
                return self.reach != reach;
            }
            self.at += 1;
        }
        self.state = (!last).then_some(state);
        let complete = table.is_match_state(table.next_eoi_state(state));
        let cut = self.reach.is_none() && self.at - self.head >= CUT;
        if last && (complete || cut) {
            self.is_match(each, text, base);
        }
        self.reach != reach
    }

    /// Takes in what was read so far, unless that turns out to be no match.
    fn is_match(&mut self, each: &Each, text: &str, base: usize) -> bool {
        if self.reach.is_none() && each.needs_more && !each.is_valid(text, self.start - base, self.at - base) {
            return false;
        }
        self.reach = Some(self.at);
        true
    }
}
