//! Patterns in a text that comes in pieces.
//!
//! One scanner serves all filters that look for something: redaction, stop sequences, the tags of reasoning, citation
//! marks. It finds every match of every pattern at every position, wherever the text is cut, and says which part of the text
//! no later match can reach any more. What to do with a match is left to the filters.
//!
//! Patterns are compiled once, when the stage is built, into automata of a bounded size. A request has a [`Scan`] of its own:
//! a state number for each automaton, and the text that is not decided yet.

mod automaton;
mod pattern;
mod patterns;
mod state;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use pattern::{Candidate, Pattern, Tail, longest};
pub(crate) use patterns::Patterns;
pub(crate) use state::{Found, Scan};
