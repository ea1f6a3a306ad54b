use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use orchestrator_core::worker::{InferenceRequest, Offer, Slot, SlotGroup, Slots};

use super::circuit::BreakerState;

/// The slots of the worker behind a breaker, offered as its state allows.
#[derive(Debug)]
pub(super) struct Gate {
    behind: Slots,
    /// Of this there is one: whoever has it may probe. Another each time it closes, as the last probe may go on for long.
    probe: Mutex<Slots>,
    offered: SlotGroup,
}

impl Gate {
    pub(super) fn new(behind: Slots) -> Self {
        let gate = Self { behind, probe: Mutex::new(one()), offered: SlotGroup::new() };
        gate.follow(BreakerState::Closed);
        gate
    }

    pub(super) fn slots(&self) -> Slots {
        self.offered.slots()
    }

    /// Offers what can be used in a state.
    pub(super) fn follow(&self, state: BreakerState) {
        let offer = Offer::new(self.behind.clone());
        let offer = match state {
            BreakerState::Closed => {
                self.with_probe(|probe| *probe = one());
                offer
            }
            BreakerState::Resting { until } => offer.from(until),
            BreakerState::Open { probe_at } => offer.through(self.with_probe(|probe| probe.clone())).from(probe_at),
            BreakerState::HalfOpen => offer.through(self.with_probe(|probe| probe.clone())),
        };
        self.offered.offer([offer]);
    }

    /// The slot that a call has: it came with the request, or the stage that makes the call holds it.
    pub(super) fn leased(&self, request: &mut InferenceRequest) -> Option<Slot> {
        request.lease.take().or_else(|| request.context.lease(&self.slots()).take())
    }

    /// Waits for a slot for a request of which the one went with an earlier attempt.
    pub(super) async fn second_slot(&self) -> Slot {
        self.behind.acquire().await
    }

    /// What a probe keeps from others; one that came through the gate has it with its slot, and none is left.
    pub(super) fn probe(&self) -> Option<Slot> {
        self.with_probe(|probe| probe.try_acquire())
    }

    fn with_probe<T>(&self, with: impl FnOnce(&mut Slots) -> T) -> T {
        with(&mut self.probe.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn one() -> Slots {
    Slots::new(NonZeroUsize::MIN)
}
