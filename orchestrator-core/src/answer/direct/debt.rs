//! What the reader of a direct stream owes it: a poll, and since when.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
#[cfg(not(all(test, core_loom)))]
use std::sync::atomic::{AtomicBool, AtomicU64};

#[cfg(all(test, core_loom))]
use loom::sync::atomic::{AtomicBool, AtomicU64};

use crate::queue::NEVER;

/// A poll that the reader owes its stream, because something is ready; it owes nothing while it waits for the worker.
///
/// What a worker did before [`arise`](Self::arise) is seen by the poll behind the next [`settle`](Self::settle), or that
/// debt is there still after it.
pub(super) struct Debt {
    /// The stream was woken since the reader began its last poll. Only exchanged, never just stored: so each reader's exchange
    /// comes behind what all wakers before it did.
    woken: AtomicBool,
    /// In ticks; [`NEVER`] while the reader waits.
    since: AtomicU64,
    /// The reader has taken events since then that nobody read the clock for.
    read_on: AtomicBool,
}

impl Debt {
    pub(super) fn since(now: u64) -> Self {
        Self { woken: AtomicBool::new(false), since: AtomicU64::new(now), read_on: AtomicBool::new(false) }
    }

    pub(super) fn is_none(&self) -> bool {
        // A waker that the reader has overtaken tells the time late; that has to be settled as well.
        !self.woken.load(Acquire) && self.since.load(Acquire) == NEVER
    }

    /// The reader is about to poll.
    pub(super) fn settle(&self) {
        // In this order: whoever wakes the stream from the exchange on finds that nothing is owed, and tells the time.
        self.since.store(NEVER, Release);
        self.woken.swap(false, AcqRel);
    }

    /// The stream was woken: unless a poll is owed already, it is from now on.
    pub(super) fn arise(&self, now: impl FnOnce() -> u64) {
        if !self.woken.swap(true, AcqRel) && self.since.load(Acquire) == NEVER {
            self.since.store(now(), Release);
        }
    }

    /// The reader has taken an event, and owes the next poll since then.
    pub(super) fn renew(&self, at: u64) {
        self.since.store(at, Release);
    }

    /// The reader has taken another event after the one of [`renew`](Self::renew), and nobody read the clock for it.
    pub(super) fn read_on(&self) {
        self.read_on.store(true, Release);
    }

    /// Since when, for somebody who looks once in a while: a reader that has read on since the last look has done so now.
    pub(super) fn look(&self, now: u64) -> u64 {
        let since = self.since.load(Acquire);
        if self.read_on.swap(false, AcqRel) && since != NEVER {
            // Unless the reader has come back meanwhile, and may wait for the worker now.
            let _ = self.since.compare_exchange(since, now, AcqRel, Acquire);
        }
        self.since.load(Acquire)
    }
}
