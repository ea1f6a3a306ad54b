//! One answer's text on its way through the automata.

use std::sync::Arc;

use regex_automata::Anchored;
use regex_automata::dfa::Automaton as _;
use regex_automata::util::primitives::StateID;

use crate::boundary::{block, floor};
use crate::filter::Filtered;
use crate::scan::automaton::begin;
use crate::scan::patterns::{Group, Patterns};
use crate::scan::tail::Follow;

/// A match: positions are bytes from the answer's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The pattern's place among the patterns.
    pub(crate) number: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Text that is not asked for any more stays until there is so much of it that moving the rest is cheap; in tests hardly at
/// all, so that they see what happens behind that.
const SLACK: usize = if cfg!(test) { 2 } else { 1024 };

/// The scanner of one answer.
///
/// Of all matches of a pattern that end at the same place, the longest is told. A match that has a tail is told again when
/// that has grown, with the same start.
#[derive(Debug)]
pub(crate) struct Scan {
    patterns: Arc<Patterns>,
    cursors: Box<[Cursor]>,
    follows: Vec<Follow>,
    /// What is not decided yet, with a character before it and what has not been cleared away.
    text: String,
    /// Where `text` stands in the answer.
    base: usize,
    /// Heads that were found and have not been followed yet; empty between two blocks.
    heads: Vec<Found>,
    /// What was found by the last push, until it is taken.
    pub(crate) found: Vec<Found>,
    /// Matches up to here have been told.
    told: usize,
    /// How many bytes were read, by all groups together and by what follows heads.
    #[cfg(test)]
    pub(crate) steps: usize,
}

/// Where one group's table is.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    state: StateID,
    /// The last position at which no match was under way.
    quiet: usize,
}

impl Scan {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        let cursors = patterns.groups.iter().map(Cursor::new).collect();
        Self {
            patterns,
            cursors,
            follows: Vec::new(),
            text: String::new(),
            base: 0,
            heads: Vec::new(),
            found: Vec::new(),
            told: 0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Goes on with the next piece; what is found stands in `found`.
    pub(crate) fn push(&mut self, piece: &str) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (next, behind) = block(rest);
            self.push_block(next);
            rest = behind;
        }
    }

    fn push_block(&mut self, block: &str) {
        let from = self.text.len();
        self.text.push_str(block);
        #[cfg(test)]
        {
            self.steps += block.len();
        }
        let Self { patterns, cursors, text, base, heads, told, .. } = self;
        let mut sight = Sight { patterns, text, base: *base, told: *told, found: heads };
        let (groups, last_group) = patterns.groups.as_chunks::<2>();
        let (cursors, last_cursor) = cursors.as_chunks_mut::<2>();
        for (cursors, groups) in cursors.iter_mut().zip(groups) {
            sight.step(groups, cursors, from);
        }
        if let ([group], [cursor]) = (last_group, last_cursor) {
            sight.step(std::array::from_ref(group), std::array::from_mut(cursor), from);
        }
        if patterns.at_once {
            *told = *base + text.len();
        }
        if !self.heads.is_empty() || !self.follows.is_empty() {
            self.heads.sort_by_key(|head| head.end);
            self.follow(false);
        }
    }

    /// The text is complete.
    pub(crate) fn finish(&mut self) {
        let end = self.end();
        let Self { patterns, cursors, text, base, heads, told, .. } = self;
        let mut sight = Sight { patterns, text, base: *base, told: *told, found: heads };
        for (cursor, group) in cursors.iter_mut().zip(&patterns.groups) {
            sight.look_back(group, group.table.next_eoi_state(cursor.state), text.len());
            cursor.quiet = end;
        }
        self.follow(true);
    }

    /// Begins a new text.
    pub(crate) fn reset(&mut self) {
        for (cursor, group) in self.cursors.iter_mut().zip(&self.patterns.groups) {
            *cursor = Cursor::new(group);
        }
        self.follows.clear();
        self.text.clear();
        self.heads.clear();
        self.found.clear();
        self.base = 0;
        self.told = 0;
    }

    /// Returns the length of the text so far.
    pub(crate) fn end(&self) -> usize {
        self.base + self.text.len()
    }

    /// Returns up to where the text is decided: no match that is told later starts before, except for one whose tail grows.
    pub(crate) fn settled(&self) -> usize {
        let mut settled = self.end();
        for (cursor, group) in self.cursors.iter().zip(&self.patterns.groups) {
            settled = settled.min(cursor.quiet.max(self.end().saturating_sub(group.longest)));
        }
        for follow in &self.follows {
            settled = settled.min(follow.settled());
        }
        self.base + floor(&self.text, settled.max(self.base) - self.base)
    }

    /// Writes what is settled behind `passed`, which moves there; returns whether that is just the last piece as it came,
    /// given that nothing was held before it, in which case nothing is written.
    pub(crate) fn let_go(&mut self, passed: &mut usize, nothing_held: bool, out: &mut String) -> Filtered {
        // Behind a match that was taken out everything before it is decided.
        let settled = self.settled().max(*passed);
        let unchanged = nothing_held && settled == self.end();
        if !unchanged {
            out.push_str(self.text(*passed, settled));
        }
        *passed = settled;
        self.forget(settled);
        if unchanged { Filtered::Unchanged } else { Filtered::Changed }
    }

    /// Returns a part of the text that has not been forgotten.
    pub(crate) fn text(&self, from: usize, to: usize) -> &str {
        &self.text[from - self.base..to - self.base]
    }

    /// Returns a byte of the text that has not been forgotten, `None` at its end.
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at - self.base).copied()
    }

    /// What is kept in memory, in bytes.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.text.capacity()
            + (self.heads.capacity() + self.found.capacity()) * size_of::<Found>()
            + self.follows.capacity() * size_of::<Follow>()
    }

    /// Text before `position` is not asked for any more.
    pub(crate) fn forget(&mut self, position: usize) {
        let spent = position - self.base;
        if spent < SLACK {
            return;
        }
        // Matches that come look at the byte before them, and the longest of them may start anywhere in what is unsettled.
        let before = position.min(self.settled()) - self.base;
        let kept = floor(&self.text, before.saturating_sub(1));
        self.text.drain(..kept);
        self.base += kept;
    }

    /// Follows the heads that were found, now and before; leaves the matches in `found`.
    fn follow(&mut self, last: bool) {
        let Self { patterns, follows, text, base, heads, found, .. } = self;
        for head in heads.drain(..) {
            let each = &patterns.each[head.number];
            if each.tail.is_some() {
                follows.push(Follow::new(head.number, each, head.start, head.end));
            }
            found.extend((!each.needs_more).then_some(head));
        }
        for follow in follows.iter_mut() {
            let (number, start) = (follow.number, follow.start);
            #[cfg(test)]
            {
                self.steps += *base + text.len() - follow.at();
            }
            if follow.read(&patterns.each[number], text, *base, last) {
                found.extend(follow.reach.map(|end| Found { number, start, end }));
            }
        }
        follows.retain(|follow| !follow.is_over());
        // The older one of two that have come to the same is the longer one.
        let mut next = 1;
        while next < follows.len() {
            if follows[..next].iter().any(|older| older.covers(&follows[next])) {
                follows.remove(next);
            } else {
                next += 1;
            }
        }
    }
}

impl Cursor {
    /// At the answer's start.
    fn new(group: &Group) -> Self {
        Self { state: begin(&group.table, Anchored::No, None), quiet: 0 }
    }
}

/// What a group is run over, and where its matches go.
struct Sight<'a> {
    patterns: &'a Patterns,
    text: &'a str,
    base: usize,
    told: usize,
    found: &'a mut Vec<Found>,
}

impl Sight<'_> {
    /// Runs groups over the text from `from` on, side by side: a step waits for the one before it in the same table only.
    fn step<const N: usize>(&mut self, groups: &[Group; N], cursors: &mut [Cursor; N], from: usize) {
        let mut here = *cursors;
        for (at, byte) in (from..).zip(&self.text.as_bytes()[from..]) {
            for (cursor, group) in here.iter_mut().zip(groups) {
                cursor.state = group.table.next_state(cursor.state, *byte);
            }
            for (cursor, group) in here.iter_mut().zip(groups) {
                if group.table.is_special_state(cursor.state) {
                    if group.table.is_start_state(cursor.state) {
                        cursor.quiet = self.base + at + 1;
                    } else {
                        // A match is told by the byte behind it.
                        self.look_back(group, cursor.state, at);
                    }
                }
            }
        }
        if self.patterns.at_once {
            for (cursor, group) in here.iter().zip(groups) {
                self.look_back(group, group.table.next_eoi_state(cursor.state), self.text.len());
            }
        }
        *cursors = here;
    }

    /// Looks for the starts of the matches that end at `end`, if `state` says that there are some.
    #[cold]
    #[inline(never)]
    fn look_back(&mut self, group: &Group, state: StateID, end: usize) {
        if !group.table.is_match_state(state) || (self.patterns.at_once && self.base + end <= self.told) {
            return;
        }
        for index in 0..group.table.match_len(state) {
            let number = group.numbers[group.table.match_pattern(state, index).as_usize()];
            if let Some(start) = self.patterns.each[number].start(self.text, self.base == 0, end) {
                self.found.push(Found { number, start: self.base + start, end: self.base + end });
            }
        }
    }
}
