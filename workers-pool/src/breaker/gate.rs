use std::num::NonZeroUsize;

use orchestrator_core::worker::{InferenceRequest, Lease, Offer, Slot, SlotGroup, Slots};

use super::circuit::BreakerState;

/// The slots of the worker behind a breaker, offered as its state allows.
#[derive(Debug)]
pub(super) struct Gate {
    behind: Slots,
    /// Of this there is one: whoever has it may probe.
    probe: Slots,
    offered: SlotGroup,
}

/// What a call keeps until its stream is gone.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) slot: Option<Slot>,
    pub(super) probe: Option<Slot>,
}

impl Gate {
    pub(super) fn new(behind: Slots) -> Self {
        let gate = Self { behind, probe: Slots::new(NonZeroUsize::MIN), offered: SlotGroup::new() };
        gate.follow(BreakerState::Closed);
        gate
    }

    pub(super) fn slots(&self) -> Slots {
        self.offered.slots()
    }

    /// Offers what can be used in a state.
    pub(super) fn follow(&self, state: BreakerState) {
        let offer = Offer::new(self.behind.clone());
        self.offered.offer([match state {
            BreakerState::Closed => offer,
            BreakerState::Resting { until } => offer.from(until),
            BreakerState::Open { probe_at } => offer.through(self.probe.clone()).from(probe_at),
            BreakerState::HalfOpen => offer.through(self.probe.clone()),
        }]);
    }

    /// Finds the slot that a call has, or waits for one where the one of its request went with an earlier attempt.
    pub(super) async fn slot_for(&self, request: &mut InferenceRequest, is_probe: bool) -> Kept {
        let leased = request.lease.take();
        let slot = match leased.or_else(|| request.context.lease(&self.slots()).take()) {
            None if !request.attempts.is_empty() => Some(self.behind.acquire().await),
            leased => leased,
        };
        // A probe that came through the gate has it with its slot, and none is left.
        let probe = if is_probe { self.probe.try_acquire() } else { None };
        request.lease = slot.as_ref().map(Lease::of).unwrap_or_default();
        Kept { slot, probe }
    }
}
