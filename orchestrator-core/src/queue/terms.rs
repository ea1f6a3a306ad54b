//! What operations of the queue are told, and what they answer.

use super::Key;
#[cfg(test)]
use super::LANES;

/// How a queue treats what lies in it. Ticks are nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How many entries may be admitted at once.
    pub(crate) depth: usize,
    /// After so many ticks an admitted entry is expired; [`NEVER`](super::NEVER) where there is no such limit.
    pub(crate) max_wait: u64,
    /// After so many ticks for each step below the highest class an entry is overdue; [`NEVER`](super::NEVER) where
    /// classes do not age.
    pub(crate) aging: u64,
    /// When the queue drops what has waited for long, if it does.
    pub(crate) codel: Option<CoDelTicks>,
}

/// When a standing queue is cut down; see [`codel`](super::codel).
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoDelTicks {
    /// The wait that is nothing to worry about.
    pub(crate) target: u64,
    /// How long all waits may be longer than that before entries are dropped.
    pub(crate) interval: u64,
}

/// What became of one pushed entry.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    /// It is in.
    Admitted,
    /// It is in, in place of this one.
    Instead(T),
    /// It waits for room under this key.
    Waiting(Key),
    /// The queue is full.
    Full(T),
    /// The queue takes nothing more.
    Closed(T),
    /// It had been given up before.
    Dead(T),
}

/// What a pop may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take {
    /// At most so many entries.
    pub(crate) limit: usize,
    /// None where there are fewer; at least 1, and above the limit where whatever there is shall be left.
    ///
    /// It is compared with what lies there before any of it is dropped.
    pub(crate) least: usize,
    /// Only of the lanes before this one.
    pub(crate) lanes: usize,
    /// The time, in ticks.
    pub(crate) now: u64,
}

#[cfg(test)]
impl Take {
    /// Whatever there is, up to `limit`, at the beginning of time.
    pub(crate) const fn up_to(limit: usize) -> Self {
        Self { limit, least: 1, lanes: LANES, now: 0 }
    }
}

/// What a pop says beside what it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Popped {
    /// How many entries it moved; what it dropped is not among them.
    pub(crate) count: usize,
    /// There is something to take, but too little: nothing was moved, and no waker kept.
    pub(crate) too_little: bool,
    /// The queue is closed, and nothing is left in it.
    pub(crate) finished: bool,
    /// No entry expires earlier than this.
    pub(crate) bound: u64,
}

/// What one look at the queue says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Depth {
    /// Entries admitted and not yet popped.
    pub(crate) admitted: usize,
    /// Entries pushed since the queue was made, whatever became of them.
    pub(crate) pushed_ever: u64,
    /// Entries admitted since the queue was made.
    pub(crate) admitted_ever: u64,
}
