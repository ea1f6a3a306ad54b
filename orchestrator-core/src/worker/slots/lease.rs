use std::fmt;

use crate::worker::Slot;

/// What stands behind the slot that was taken for a call of a worker.
///
/// Where that slot is one of a [group](crate::worker::SlotGroup), a member has been holding one of its own for the request
/// since it left its queue. Whoever calls the worker hands that one over with the request, and the worker either asks that
/// member, or frees it and takes one of another. In all other cases it is empty.
///
/// A clone is empty: the slot is for one call.
#[derive(Default)]
pub struct Lease(Option<Slot>);

impl Lease {
    /// Takes what stands behind a slot; empty where that is one of a server, or was asked before.
    #[must_use]
    pub fn of(slot: &Slot) -> Self {
        Self(slot.take_member())
    }

    /// Takes the slot.
    pub fn take(&mut self) -> Option<Slot> {
        self.0.take()
    }
}

impl From<Slot> for Lease {
    /// Hands over a slot that was taken for a worker's server itself, by who knows what stands behind the worker.
    fn from(slot: Slot) -> Self {
        Self(Some(slot))
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.0).finish()
    }
}
