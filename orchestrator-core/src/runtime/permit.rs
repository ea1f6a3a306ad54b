use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use crate::worker::{Lease, Slot, Slots};

/// Drops what belongs to a user; a destructor that panics must not take a task of ours, or a rayon worker, with it.
pub(crate) fn discard<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::error!("a destructor panicked; the request that it belonged to had ended before");
    }
}

/// Counts what is inside a segment and not in its own hands: spawned runs, held permits, outputs that wait for room.
///
/// What the segment's task polls itself it counts itself; only these need an atomic.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    outside: AtomicUsize,
    /// Something in here was cancelled: look through it.
    poked: AtomicBool,
    segment: AtomicWaker,
}

impl Gate {
    /// Has the segment's task woken by the next release or poke.
    pub(crate) fn register(&self, waker: &Waker) {
        self.segment.register(waker);
    }

    /// How many are inside beyond what the segment counts itself.
    pub(crate) fn outside(&self) -> usize {
        self.outside.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self) {
        self.outside.fetch_add(1, Ordering::AcqRel);
    }

    fn release(&self) {
        self.outside.fetch_sub(1, Ordering::AcqRel);
        self.segment.wake();
    }

    /// Asks the segment to look for requests that are over.
    pub(crate) fn poke(&self) {
        self.poked.store(true, Ordering::Release);
        self.segment.wake();
    }

    /// Whether somebody poked since the last [`Gate::take_poke`].
    pub(crate) fn is_poked(&self) -> bool {
        self.poked.load(Ordering::Acquire)
    }

    /// Whether somebody poked since the last call.
    pub(crate) fn take_poke(&self) -> bool {
        self.poked.load(Ordering::Relaxed) && self.poked.swap(false, Ordering::Acquire)
    }
}

/// One place inside a segment, for an output that waits for room in the next queue.
#[derive(Debug)]
pub(crate) struct Place(Arc<Gate>);

impl Place {
    pub(crate) fn take(gate: &Arc<Gate>) -> Self {
        gate.add();
        Self(gate.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// One request's place inside a segment, and its slot at the server, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Unit {
    gate: Arc<Gate>,
    /// Whether the gate counts it; until then the segment's task does.
    counted: AtomicBool,
    /// Whether the run came to its end, so that others may be judged by the time that it took.
    complete: AtomicBool,
    /// Its output is a stream, which goes on behind the run and tells by itself that it is complete.
    streams: AtomicBool,
    slot: Option<Slot>,
}

impl Unit {
    /// A unit that the gate counts from now on.
    pub(crate) fn counted(gate: &Arc<Gate>, slot: Option<Slot>) -> Arc<Self> {
        gate.add();
        Self::of(gate, true, slot)
    }

    /// A unit of a run that the segment's task counts until it ends.
    pub(crate) fn uncounted(gate: &Arc<Gate>) -> Arc<Self> {
        Self::of(gate, false, None)
    }

    fn of(gate: &Arc<Gate>, counted: bool, slot: Option<Slot>) -> Arc<Self> {
        Arc::new(Self {
            gate: gate.clone(),
            counted: counted.into(),
            complete: false.into(),
            streams: false.into(),
            slot,
        })
    }

    /// Notes that the run came to its end, and with it, unless it streams, what it has the slot for.
    pub(crate) fn complete(&self) {
        let complete = !self.streams.load(Ordering::Acquire);
        self.complete.store(complete, Ordering::Release);
    }

    /// What stands behind its slot, where that is one of `slots`, if they are named.
    pub(crate) fn lease(&self, slots: Option<&Slots>) -> Option<Lease> {
        let slot = self.slot.as_ref().filter(|slot| slots.is_none_or(|slots| slot.is_of(slots)));
        slot.map(Lease::of)
    }

    /// Hands the counting over from the segment's task to the gate.
    pub(crate) fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.gate.add();
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.end(*self.complete.get_mut());
        }
        if *self.counted.get_mut() {
            self.gate.release();
        }
    }
}

/// Keeps a request inside its stage after `run` has returned.
///
/// Made by [`Context::hold_permit`](crate::context::Context::hold_permit). The stage's concurrency, and a slot that the
/// request took, count it until this is dropped.
#[must_use = "the permit is released when this is dropped"]
pub struct Permit {
    unit: Option<Arc<Unit>>,
}

impl Permit {
    pub(crate) const fn new(unit: Option<Arc<Unit>>) -> Self {
        Self { unit }
    }

    /// Notes that it is held for a stream.
    pub(crate) fn streams(&self) {
        if let Some(unit) = &self.unit {
            unit.streams.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
