use std::sync::Arc;
use std::task;

use crate::queue::NEVER;
use crate::runtime::clock::Clock;
use crate::runtime::job::{Guard, Parcel};
use crate::runtime::permit::Unit;

/// A request on its way through the nodes of one segment.
#[derive(Debug)]
pub(crate) struct Flight<T> {
    pub(crate) guard: Guard,
    pub(crate) parcel: Parcel<T>,
    /// Its unit, where it has one beside the segment's own count.
    pub(crate) unit: Option<Arc<Unit>>,
}

/// What the nodes of a segment share during one poll of its task.
pub(crate) struct Round<'a, 'b> {
    pub(crate) clock: Clock,
    /// The time of the last clock reading.
    pub(crate) now: u64,
    /// Whether runs that end at once are timed, or take what the last timed one took.
    pub(crate) timed: bool,
    pub(crate) task: &'a mut task::Context<'b>,
}

impl Round<'_, '_> {
    /// Reads the clock; returns the new time.
    pub(crate) fn tick(&mut self) -> u64 {
        self.now = self.clock.now();
        self.now
    }
}

/// A link in what a segment runs one after the other: a stage, or the way out.
///
/// Each knows the next one, so a request passes from node to node by a call. All nodes of a segment belong to its task.
/// The provided methods are those of a node that keeps nothing.
pub(crate) trait Node<T>: Send {
    /// Takes a request on.
    fn start(&mut self, flight: Flight<T>, round: &mut Round<'_, '_>);

    /// Polls what is pending, here and behind; returns whether anything moved.
    fn poll(&mut self, _round: &mut Round<'_, '_>) -> bool {
        false
    }

    /// Hands on what was gathered, here and behind.
    fn flush(&mut self, _now: u64) {}

    /// Requests that are inside, here or behind, and have no unit of their own.
    fn inside(&self) -> usize {
        0
    }

    /// Whether nothing is inside, here or behind.
    fn is_empty(&self) -> bool {
        true
    }

    /// No time limit of what is inside is earlier.
    fn bound(&self) -> u64 {
        NEVER
    }

    /// Ends what has run out of time by `now`.
    fn expire(&mut self, _now: u64) {}

    /// Lets go of what is settled.
    fn sweep(&mut self) {}

    /// Ends everything inside as cancelled.
    fn cancel_all(&mut self) {}
}

/// A node, whatever it is.
pub(crate) type BoxNode<T> = Box<dyn Node<T>>;
