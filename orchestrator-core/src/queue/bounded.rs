use std::collections::VecDeque;
use std::task::Waker;

use super::inner::Inner;
use super::slab::Taken;
use super::sync::{self, Mutex, MutexGuard};
use super::{Depth, Effects, Entry, Key, NEVER, Popped, Pushed, Rules, Take, Turns};
use crate::stage::ShedPolicy;

/// The bounded queue; see the [module](self).
///
/// A line of the cache begins with its lock, and what every push and pop touches fills that line and the next: these lines
/// go from core to core with the lock.
#[repr(align(128))]
pub(crate) struct Queue<T, W> {
    pub(super) inner: Mutex<Inner<T, W>>,
}

impl<T: Entry, W> Queue<T, W> {
    /// Makes queue number `id`.
    pub(crate) fn new(id: u32, rules: Rules) -> Self {
        Self { inner: Mutex::new(Inner::new(id, rules)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner<T, W>> {
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

    /// Moves what it may `take` to the end of `out`, in the [order](super) that entries leave in.
    ///
    /// What has expired, or is late, is left in `effects` and not counted; if that was all that there was, what moves up
    /// in its place is popped. So where nothing is moved, nothing is there that could be, or it was too little, or the
    /// limit is 0.
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
        mut turns: Option<&mut dyn Turns<T>>,
    ) -> Popped {
        let mut inner = self.lock();
        if turns.is_some() {
            inner.slab.sort_by_flow();
        }
        let (mut count, mut too_little) = (0, false);
        while count == 0 {
            let ready = inner.slab.ready(take.lanes);
            too_little = ready > 0 && ready < take.least;
            if too_little {
                break;
            }
            if ready.min(take.limit) == 0 {
                inner.keep_consumer(waker);
                break;
            }
            count = inner.move_out(take, out, effects, &mut turns);
            inner.admit_waiting(Some(take.now), effects);
        }
        Popped { count, too_little, finished: inner.is_finished(), bound: inner.bound }
    }

    /// Returns how many entries of the lanes before `lanes` could be popped now.
    pub(crate) fn ready(&self, lanes: usize) -> usize {
        self.lock().slab.ready(lanes)
    }

    /// Unlinks the entry under `key` if `is_it` recognises it.
    pub(crate) fn remove(&self, key: Key, is_it: impl FnOnce(&T) -> bool, effects: &mut Effects<T, W>) -> Option<T> {
        let mut inner = self.lock();
        let taken = inner.slab.remove_if(key, is_it)?;
        // There is no clock here: whatever has expired by now, the consumer finds.
        inner.admit_waiting(None, effects);
        inner.call_consumer(&mut effects.wake);
        // A closed queue that has become empty is finished, and nobody else would tell the consumer.
        if inner.is_finished() {
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

    /// Unlinks every entry that has expired at `now` or earlier, and raises the bound to what is left.
    pub(crate) fn expire(&self, now: u64, effects: &mut Effects<T, W>) {
        let mut inner = self.lock();
        if inner.bound > now {
            return;
        }
        inner.bound = NEVER;
        for key in 0..inner.slab.keys() {
            let Some(entry) = inner.slab.get(key) else { continue };
            let end = if inner.slab.is_admitted(key) { inner.end_of(entry) } else { entry.deadline() };
            if end > now {
                inner.bound = inner.bound.min(end);
            } else if let Some(Taken { entry, ticket, admitted }) = inner.slab.remove_if(key, |_| true) {
                effects.tickets.extend(ticket);
                let expired = if admitted { &mut effects.expired } else { &mut effects.expired_waiting };
                expired.push(entry);
            }
        }
        inner.admit_waiting(Some(now), effects);
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
        while let Some(entry) = inner.slab.pop_admitted() {
            effects.dead.push(entry);
        }
        inner.take_consumer(&mut effects.wake);
    }

    /// Returns how full the queue is.
    pub(crate) fn depth(&self) -> Depth {
        let inner = self.lock();
        Depth { admitted: inner.admitted(), pushed_ever: inner.pushed_ever, admitted_ever: inner.admitted_ever }
    }
}

impl<T, W> std::fmt::Debug for Queue<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}
