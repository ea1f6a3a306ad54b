//! The automata: from expressions to tables.

use regex_automata::dfa::dense::{self, DFA};
use regex_automata::dfa::{Automaton as _, StartKind};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;

/// A table of states.
pub(super) type Table = DFA<Vec<u32>>;

/// The most bytes of a table of one pattern.
pub(super) const TABLE_BYTES: usize = 2 << 20;

/// The most bytes of a table that several patterns share. Small, since the sizes of patterns multiply: a few small tables are
/// made, and read, faster than a large one.
pub(super) const SHARED_BYTES: usize = 256 << 10;

/// Which way a table reads, and from where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Forward, for matches that begin at any position.
    Anywhere,
    /// Forward, for matches that begin where it is started.
    Onward,
    /// Backward, for matches that end where it is started.
    Back,
}

/// A table that gets too large.
#[derive(Debug)]
pub(super) struct TooLarge;

/// Makes the table of `expressions`, of at most `bytes`.
pub(super) fn table(expressions: &[Hir], reads: Reads, bytes: usize) -> Result<Table, TooLarge> {
    let config = thompson::Config::new()
        .reverse(reads == Reads::Back)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(8 * bytes));
    let nfa = NFA::compiler().configure(config).build_many_from_hir(expressions).map_err(|_| TooLarge)?;
    let anywhere = reads == Reads::Anywhere;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(if anywhere { StartKind::Unanchored } else { StartKind::Anchored })
        .specialize_start_states(anywhere)
        .accelerate(false)
        // A start state says that no match is under way. With fewer states it could stand for one in which that is not so.
        .minimize(false)
        .dfa_size_limit(Some(bytes))
        .determinize_size_limit(Some(8 * bytes));
    // All else that a table cannot be made of has been refused before.
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| TooLarge)
}

/// Returns the state in which `table` starts beside `neighbour`: the byte before, or behind where it reads backward.
pub(super) fn begin(table: &Table, anchored: Anchored, neighbour: Option<u8>) -> StateID {
    let config = start::Config::new().anchored(anchored).look_behind(neighbour);
    table.start_state(&config).expect("no byte makes it quit, and it was built for this kind of start")
}
