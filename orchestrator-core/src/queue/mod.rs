//! The bounded queue in front of a stage: many producers, one consumer, three priority lanes.
//!
//! A mutex around a [`Slab`](slab::Slab) of linked entries. It is responsible for order, for the depth, for what a
//! full queue does with a newcomer, and for waking whoever must act. It leaves to its caller what an entry is, what a
//! dropped one is told, and the clock: instants are plain numbers here.
//!
//! An entry lies in one of two places. *Admitted* entries count against the depth and are what the consumer pops.
//! *Waiting* entries found the queue full under backpressure: they bring a ticket, move up by themselves when there is
//! room, the highest class first, and their ticket is handed back then. So a producer never has to come back and try
//! again, no wake-up can be lost between two tries, and a cancelled producer is unlinked like any other entry.
//!
//! # Order
//!
//! Higher classes leave first. Within a class entries leave in order of arrival, or, where a pop brings [`Turns`], in
//! order of arrival within each flow, and flows by turns. Classes may age: an admitted entry is *overdue* once it has
//! waited for `aging` times the steps from its class to the highest, which itself never is. The oldest that is overdue goes
//! before its turn, whatever its class and flow, unless the entry handed out just before it did so. One whose turn it is
//! goes by that, overdue or not; what is dropped is not handed out.
//!
//! So at most every second entry goes by age alone: if all that is overdue did, a queue whose whole backlog is would
//! know neither classes nor turns, just when there is too much to do. And of two entries handed out one behind the
//! other, one is the oldest that is overdue, if any is: an admitted entry of the lowest class waits at most twice
//! `aging`, and then for twice as many as were overdue before it, and one. A pop of some lanes knows nothing of the
//! others, overdue or not, but what it hands out counts as any other. What waits for room does not age, and moves up
//! behind all that is of a higher class.
//!
//! # What is dropped
//!
//! What expires is handed back instead of served: a deadline counts wherever the entry lies, `max_wait` only for admitted
//! ones, though from when they were pushed. What [`codel`] drops, overdue or not, is handed back as late; it watches all
//! classes together, so short waits of a higher one hide the long waits of a lower one, which aging or `max_wait` end.
//! Both are looked at when entries are popped, where what is dropped does not count against the limit; [`Queue::expire`]
//! looks for what has expired between two pops.
//!
//! No waker runs, and no entry is dropped, under the lock: every operation leaves such things in [`Effects`].

mod bounded;
mod codel;
mod effects;
mod entry;
mod flows;
mod inner;
mod order;
mod slab;
mod sync;
mod terms;

#[cfg(all(test, core_loom))]
mod loom;
#[cfg(all(test, not(core_loom)))]
mod tests;

pub(crate) use bounded::Queue;
pub(crate) use effects::Effects;
pub(crate) use entry::{Entry, Turns};
pub(crate) use slab::{Key, LANES};
pub(crate) use terms::{CoDelTicks, Depth, Popped, Pushed, Rules, Take};

/// An instant that never comes.
pub(crate) const NEVER: u64 = u64::MAX;
