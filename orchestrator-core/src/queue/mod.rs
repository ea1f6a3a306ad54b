//! The bounded queue in front of a stage: many producers, one consumer, three priority lanes.
//!
//! A mutex around a [`Slab`](slab::Slab) of linked entries. It is responsible for order, for the depth, for what a
//! full queue does with a newcomer, and for waking whoever must act. It leaves to its caller what an entry is, what a
//! dropped one is told, and the clock: deadlines are plain numbers here.
//!
//! An entry lies in one of two places. *Admitted* entries count against the depth and are what the consumer pops.
//! *Waiting* entries found the queue full under backpressure: they bring a ticket, move up by themselves when there is
//! room, the highest class first, and their ticket is handed back then. So a producer never has to come back and try
//! again, no wake-up can be lost between two tries, and a cancelled producer is unlinked like any other entry.
//!
//! No waker runs, and no entry is dropped, under the lock: every operation leaves such things in [`Effects`].

mod effects;
mod slab;
mod sync;

#[cfg(all(test, queue_loom))]
mod loom;
#[cfg(all(test, not(queue_loom)))]
mod tests;

pub(crate) use effects::Effects;
pub(crate) use slab::{Key, LANES};

use std::collections::VecDeque;
use std::task::Waker;

use slab::{Slab, Taken};
use sync::{Mutex, MutexGuard};

use crate::stage::ShedPolicy;

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// What the queue must know of what it holds.
pub(crate) trait Entry {
    /// The lane, 0 is served first.
    fn lane(&self) -> usize;

    /// The instant after which the entry is of no use, in the caller's ticks; [`NEVER`] where there is none.
    fn deadline(&self) -> u64;

    /// Whether the entry was given up; such an entry is not let in.
    ///
    /// Called under the lock, and so ordered with [`Queue::sync`]: whoever marks an entry and then passes through the
    /// lock either finds it inside, or can rely on it not getting in.
    fn is_dead(&self) -> bool;

    /// Notes in which queue it lies now, and where; called under the lock.
    fn placed(&self, queue: u32, key: Key);

    /// Notes that it is admitted; called under the lock, once.
    fn admitted(&self);
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
    pub(crate) least: usize,
    /// Only of the lanes before this one.
    pub(crate) lanes: usize,
}

#[cfg(test)]
impl Take {
    /// Whatever there is, up to `limit`.
    pub(crate) const fn up_to(limit: usize) -> Self {
        Self { limit, least: 1, lanes: LANES }
    }
}

/// What a pop says beside what it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Popped {
    /// How many entries it moved.
    pub(crate) count: usize,
    /// There is something to take, but too little: nothing was moved, and no waker kept.
    pub(crate) too_little: bool,
    /// The queue is closed, and nothing is left in it.
    pub(crate) finished: bool,
    /// No entry's deadline is earlier than this.
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

/// The bounded queue; see the [module](self).
///
/// A line of the cache begins with its lock, and what every push and pop touches fills that line and the next: these lines
/// go from core to core with the lock.
#[repr(align(128))]
pub(crate) struct Queue<T, W> {
    inner: Mutex<Inner<T, W>>,
}

#[repr(C)]
struct Inner<T, W> {
    pushed_ever: u64,
    admitted_ever: u64,
    /// No entry's deadline is earlier; may be lower than need be until the next [`Queue::expire`].
    bound: u64,
    /// The bound that the consumer was told last.
    armed: u64,
    depth: u32,
    closed: bool,
    /// Whether the consumer wants to hear of new entries, or only of a lower bound and of the close.
    hungry: bool,
    slab: Slab<T, W>,
    consumer: Option<Waker>,
}

impl<T: Entry, W> Queue<T, W> {
    /// Makes queue number `id` for `depth` admitted entries.
    pub(crate) fn new(id: u32, depth: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                pushed_ever: 0,
                admitted_ever: 0,
                bound: NEVER,
                armed: 0,
                depth: u32::try_from(depth).unwrap_or(u32::MAX),
                closed: false,
                hungry: false,
                slab: Slab::new(id),
                consumer: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T, W>> {
        sync::lock(&self.inner)
    }

    /// Pushes one entry; `ticket` is made only if it has to wait. Leaves the consumer in `wake` if it has to be woken.
    pub(crate) fn push(
        &self,
        entry: T,
        full: ShedPolicy,
        ticket: impl FnOnce(&T) -> W,
        wake: &mut Option<Waker>,
    ) -> Pushed<T> {
        let mut inner = self.lock();
        let pushed = inner.insert(entry, full, ticket);
        inner.call_consumer(wake);
        pushed
    }

    /// Pushes all `entries` in their order; what is not let in is left in `effects`.
    pub(crate) fn push_all(
        &self,
        entries: &mut Vec<T>,
        full: ShedPolicy,
        mut ticket: impl FnMut(&T) -> W,
        effects: &mut Effects<T, W>,
    ) {
        let mut inner = self.lock();
        for entry in entries.drain(..) {
            match inner.insert(entry, full, &mut ticket) {
                Pushed::Admitted | Pushed::Waiting(_) => {}
                Pushed::Instead(victim) => effects.evicted.push(victim),
                Pushed::Full(entry) => effects.rejected.push(entry),
                Pushed::Closed(entry) | Pushed::Dead(entry) => effects.dead.push(entry),
            }
        }
        inner.call_consumer(&mut effects.wake);
    }

    /// Moves what it may `take` to the end of `out`, the first lane first.
    ///
    /// Where there is nothing to take, or the limit is 0, `waker` is kept: it is woken by the next entry if `hungry`, and
    /// in any case when the bound falls or the queue is closed. Whoever left something because it was too little comes
    /// back for it unasked.
    pub(crate) fn pop(
        &self,
        take: Take,
        out: &mut VecDeque<T>,
        waker: Option<(&Waker, bool)>,
        effects: &mut Effects<T, W>,
    ) -> Popped {
        let mut inner = self.lock();
        let ready = inner.slab.ready(take.lanes);
        let too_little = ready > 0 && ready < take.least;
        let count = if too_little { 0 } else { ready.min(take.limit) };
        for _ in 0..count {
            let Some(entry) = inner.slab.pop_admitted(take.lanes) else { break };
            out.push_back(entry);
        }
        if count > 0 {
            inner.admit_waiting(effects);
        } else if let Some((waker, hungry)) = waker
            && !too_little
        {
            inner.hungry = hungry;
            inner.armed = inner.bound;
            match &mut inner.consumer {
                Some(kept) => kept.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        Popped { count, too_little, finished: inner.closed && inner.slab.is_empty(), bound: inner.bound }
    }

    /// Returns how many entries of the lanes before `lanes` could be popped now.
    pub(crate) fn ready(&self, lanes: usize) -> usize {
        self.lock().slab.ready(lanes)
    }

    /// Unlinks the entry under `key` if `is_it` recognises it.
    pub(crate) fn remove(&self, key: Key, is_it: impl FnOnce(&T) -> bool, effects: &mut Effects<T, W>) -> Option<T> {
        let mut inner = self.lock();
        let taken = inner.slab.remove_if(key, is_it)?;
        inner.admit_waiting(effects);
        inner.call_consumer(&mut effects.wake);
        // A closed queue that has become empty is finished, and nobody else would tell the consumer.
        if inner.closed && inner.slab.is_empty() {
            inner.take_consumer(&mut effects.wake);
        }
        effects.tickets.extend(taken.ticket);
        Some(taken.entry)
    }

    /// Replaces the ticket of an entry that still waits.
    pub(crate) fn replace_ticket(&self, key: Key, is_it: impl FnOnce(&T) -> bool, mut ticket: W) -> bool {
        // Swapped, so that whichever of the two is left over is dropped after the lock.
        self.lock().slab.replace_ticket(key, is_it, &mut ticket)
    }

    /// Passes through the lock: what others pushed before is visible afterwards, what they push later sees what was
    /// marked before.
    pub(crate) fn sync(&self) {
        drop(self.lock());
    }

    /// Unlinks every entry whose deadline is `now` or earlier, and raises the bound to what is left.
    pub(crate) fn expire(&self, now: u64, effects: &mut Effects<T, W>) {
        let mut inner = self.lock();
        if inner.bound > now {
            return;
        }
        inner.bound = NEVER;
        for key in 0..inner.slab.keys() {
            let Some(entry) = inner.slab.get(key) else { continue };
            let deadline = entry.deadline();
            if deadline > now {
                inner.bound = inner.bound.min(deadline);
            } else if let Some(Taken { entry, ticket, admitted }) = inner.slab.remove_if(key, |_| true) {
                effects.tickets.extend(ticket);
                let expired = if admitted { &mut effects.expired } else { &mut effects.expired_waiting };
                expired.push(entry);
            }
        }
        inner.admit_waiting(effects);
    }

    /// Takes nothing more; what is admitted or waits stays.
    pub(crate) fn close(&self, effects: &mut Effects<T, W>) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.take_consumer(&mut effects.wake);
    }

    /// Unlinks everything that waits for room.
    pub(crate) fn take_waiting(&self, effects: &mut Effects<T, W>) {
        let mut inner = self.lock();
        while inner.expel_first_waiting(effects) {}
    }

    /// Unlinks everything.
    pub(crate) fn take_all(&self, effects: &mut Effects<T, W>) {
        // All under one lock: what came to wait in between would find nobody left to make room for it.
        let mut inner = self.lock();
        while inner.expel_first_waiting(effects) {}
        while let Some(entry) = inner.slab.pop_admitted(LANES) {
            effects.dead.push(entry);
        }
        inner.take_consumer(&mut effects.wake);
    }

    /// Returns how full the queue is.
    pub(crate) fn depth(&self) -> Depth {
        let Inner { slab, pushed_ever, admitted_ever, .. } = &*self.lock();
        Depth { admitted: slab.ready(LANES), pushed_ever: *pushed_ever, admitted_ever: *admitted_ever }
    }
}

impl<T: Entry, W> Inner<T, W> {
    fn insert(&mut self, entry: T, full: ShedPolicy, ticket: impl FnOnce(&T) -> W) -> Pushed<T> {
        self.pushed_ever += 1;
        if self.closed {
            return Pushed::Closed(entry);
        }
        if entry.is_dead() {
            return Pushed::Dead(entry);
        }
        let lane = entry.lane();
        let mut victim = None;
        // Where there is room nobody waits for it: whoever waited has moved up.
        if self.slab.ready(LANES) >= self.depth as usize {
            match full {
                ShedPolicy::Backpressure => {
                    self.bound = self.bound.min(entry.deadline());
                    let ticket = ticket(&entry);
                    return Pushed::Waiting(self.slab.push_waiting(lane, entry, ticket));
                }
                ShedPolicy::RejectNew | ShedPolicy::CoDel(_) | ShedPolicy::Predictive => return Pushed::Full(entry),
                ShedPolicy::DropOldest => match self.slab.evict(lane) {
                    None => return Pushed::Full(entry),
                    evicted => victim = evicted,
                },
            }
        }
        self.bound = self.bound.min(entry.deadline());
        self.admitted_ever += 1;
        entry.admitted();
        self.slab.push_admitted(lane, entry);
        victim.map_or(Pushed::Admitted, Pushed::Instead)
    }

    /// Moves up what waits, as far as there is room.
    fn admit_waiting(&mut self, effects: &mut Effects<T, W>) {
        while self.slab.ready(LANES) < self.depth as usize {
            let Some(first) = self.slab.first_waiting() else { return };
            if first.is_dead() {
                // Whoever gave it up has yet to come for it; it must not count as let in meanwhile.
                self.expel_first_waiting(effects);
                continue;
            }
            self.admitted_ever += 1;
            effects.tickets.extend(self.slab.admit_first_waiting());
        }
    }

    /// Unlinks what waits first; `false` where nothing waits.
    fn expel_first_waiting(&mut self, effects: &mut Effects<T, W>) -> bool {
        let Some(taken) = self.slab.pop_waiting() else { return false };
        effects.tickets.extend(taken.ticket);
        effects.dead.push(taken.entry);
        true
    }

    /// Leaves the consumer's waker to be woken, beside one that was left before.
    fn take_consumer(&mut self, wake: &mut Option<Waker>) {
        if let Some(consumer) = self.consumer.take() {
            // Whoever comes next sees by this, and the bound, that nobody is to be woken.
            (self.hungry, self.armed) = (false, 0);
            *wake = Some(consumer);
        }
    }

    /// Leaves the consumer's waker to be woken if it would want to know.
    fn call_consumer(&mut self, wake: &mut Option<Waker>) {
        let has_news = self.hungry && self.slab.ready(LANES) > 0 || self.bound < self.armed;
        if has_news {
            self.take_consumer(wake);
        }
    }
}

impl<T, W> std::fmt::Debug for Queue<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
