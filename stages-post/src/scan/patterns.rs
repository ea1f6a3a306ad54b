//! A set of patterns, compiled.

use regex_automata::Anchored;
use regex_automata::dfa::Automaton as _;
use regex_syntax::hir::Hir;

use crate::scan::automaton::{Reads, SHARED_BYTES, TABLE_BYTES, Table, begin, table};
use crate::scan::pattern::{Candidate, Pattern, PatternError, Problem, relax};

/// Patterns that are looked for together.
///
/// The tables of a group tell where a candidate ends; where it starts, and whether it is one at all, is told by a table of
/// the pattern itself that reads backward from there.
#[derive(Debug)]
pub(crate) struct Patterns {
    pub(super) groups: Vec<Group>,
    pub(super) each: Vec<Each>,
    /// Matches are told as soon as they are complete, rather than with the byte behind them.
    pub(super) at_once: bool,
}

/// Patterns that share a table.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) table: Table,
    /// The number of each of the table's patterns.
    pub(super) numbers: Vec<usize>,
    /// The length of their longest match in bytes.
    pub(super) longest: usize,
}

/// What is known of one pattern.
#[derive(Debug)]
pub(super) struct Each {
    back: Table,
    pub(super) tail: Option<Table>,
    /// A head alone is no match.
    pub(super) needs_more: bool,
    valid: Option<fn(&Candidate<'_>) -> bool>,
}

impl Patterns {
    /// Compiles `patterns`, whose numbers are their places.
    pub(crate) fn new(patterns: &[Pattern]) -> Result<Self, PatternError> {
        let mut heads = Vec::with_capacity(patterns.len());
        let mut each = Vec::with_capacity(patterns.len());
        for (number, pattern) in patterns.iter().enumerate() {
            let (head, longest) = pattern.parse()?;
            each.push(Each::new(pattern, &head)?);
            heads.push(Head { number, longest, relaxed: relax(&head) });
        }
        let groups = group(heads).map_err(|number| patterns[number].error(Problem::TooComplex))?;
        Ok(Self { groups, each, at_once: false })
    }

    /// Compiles texts that stand for themselves; a match is told as soon as it is complete.
    pub(crate) fn at_once(patterns: &[Pattern]) -> Result<Self, PatternError> {
        debug_assert!(patterns.iter().all(|p| p.valid.is_none() && p.tail.is_none()), "these need the byte behind");
        Ok(Self { at_once: true, ..Self::new(patterns)? })
    }

    #[cfg(test)]
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns the number of bytes that may be held back: the longest match of a head.
    #[cfg(test)]
    pub(crate) fn window(&self) -> usize {
        self.groups.iter().map(|group| group.longest).max().unwrap_or(0)
    }
}

/// A pattern on its way into a group.
struct Head {
    number: usize,
    longest: usize,
    relaxed: Hir,
}

/// Puts each of `heads` into the first group that has room for it; fails with the number of one that is too large alone.
fn group(heads: Vec<Head>) -> Result<Vec<Group>, usize> {
    let mut groups: Vec<(Vec<Head>, Table)> = Vec::new();
    'heads: for head in heads {
        for (members, shared) in &mut groups {
            let expressions: Vec<Hir> =
                members.iter().map(|member| &member.relaxed).chain([&head.relaxed]).cloned().collect();
            if let Ok(table) = table(&expressions, Reads::Anywhere, SHARED_BYTES) {
                *shared = table;
                members.push(head);
                continue 'heads;
            }
        }
        let alone =
            table(std::slice::from_ref(&head.relaxed), Reads::Anywhere, TABLE_BYTES).map_err(|_| head.number)?;
        groups.push((vec![head], alone));
    }
    let finished = groups.into_iter().map(|(members, table)| Group {
        table,
        numbers: members.iter().map(|head| head.number).collect(),
        longest: members.iter().map(|head| head.longest).max().unwrap_or(0),
    });
    Ok(finished.collect())
}

impl Each {
    fn new(pattern: &Pattern, head: &Hir) -> Result<Self, PatternError> {
        let too_complex = |_| pattern.error(Problem::TooComplex);
        let back = table(std::slice::from_ref(head), Reads::Back, TABLE_BYTES).map_err(too_complex)?;
        let tail = pattern
            .parse_tail()?
            .map(|tail| table(&[tail], Reads::Onward, TABLE_BYTES).map_err(too_complex))
            .transpose()?;
        let needs_more = pattern.tail.is_some_and(|tail| !tail.need.is_empty());
        Ok(Self { back, tail, needs_more, valid: pattern.valid })
    }

    /// Returns where the longest head starts that ends at `end` of `text`; `whole` where that begins with the answer.
    pub(super) fn start(&self, text: &str, whole: bool, end: usize) -> Option<usize> {
        let (back, bytes) = (&self.back, text.as_bytes());
        let mut found = None;
        let mut state = begin(back, Anchored::Yes, bytes.get(end).copied());
        // A match is told by the byte in front of it.
        for (start, byte) in bytes[..end].iter().enumerate().rev().map(|(i, byte)| (i + 1, *byte)) {
            state = back.next_state(state, byte);
            if back.is_match_state(state) && self.may_be(text, start, end) {
                found = Some(start);
            } else if back.is_dead_state(state) {
                return found;
            }
        }
        if whole && back.is_match_state(back.next_eoi_state(state)) && self.may_be(text, 0, end) {
            found = Some(0);
        }
        found
    }

    /// Whether this head is worth following: of one that needs more nothing else is known yet.
    fn may_be(&self, text: &str, start: usize, end: usize) -> bool {
        self.needs_more || self.is_valid(text, start, end)
    }

    /// Whether a head with what has to follow is a match.
    pub(super) fn is_valid(&self, text: &str, start: usize, end: usize) -> bool {
        let neighbour = |i: Option<usize>| i.and_then(|i| text.as_bytes().get(i)).copied();
        self.valid.is_none_or(|valid| {
            valid(&Candidate {
                text: &text[start..end],
                before: neighbour(start.checked_sub(1)),
                after: neighbour(Some(end)),
            })
        })
    }
}
