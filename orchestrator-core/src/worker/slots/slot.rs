use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::OwnedSemaphorePermit;

use crate::admission::Key;
use crate::runtime::cell::lock;
use crate::worker::Slots;
use crate::worker::slots::{Shared, Source};

/// One slot of a server, or of a group of servers; freed when dropped.
#[must_use = "the slot is free again when this is dropped"]
pub struct Slot {
    holds: Holds,
    slots: Arc<Shared>,
    /// What is booked for the request that has it.
    booking: Option<Key>,
    /// A slot that is freed with it.
    gate: Option<Box<Slot>>,
}

/// What is behind a slot.
enum Holds {
    /// A permit of the server; `None` only while it is dropped.
    Permit(Option<OwnedSemaphorePermit>),
    /// A slot of a member of the group, until it is taken.
    Member(Box<Mutex<Option<Slot>>>),
}

impl Slot {
    pub(super) const fn of_server(permit: OwnedSemaphorePermit, slots: Arc<Shared>) -> Self {
        Self { holds: Holds::Permit(Some(permit)), slots, booking: None, gate: None }
    }

    pub(super) fn of_group(member: Self, slots: Arc<Shared>) -> Self {
        Self { holds: Holds::Member(Box::new(Mutex::new(Some(member)))), slots, booking: None, gate: None }
    }

    /// Has another slot freed with it.
    pub(super) fn with(mut self, gate: Option<Self>) -> Self {
        self.gate = gate.map(Box::new);
        self
    }

    /// Returns whether it is one of `slots`.
    #[must_use]
    pub fn is_of(&self, slots: &Slots) -> bool {
        Arc::ptr_eq(&self.slots, &slots.0)
    }

    /// Takes the slot of a member that a slot of a [group](crate::worker::SlotGroup) stands for.
    pub(super) fn take_member(&self) -> Option<Self> {
        match &self.holds {
            Holds::Permit(_) => None,
            Holds::Member(member) => lock(member).take(),
        }
    }

    /// Notes whose booking ends with it.
    pub(crate) const fn serve(&mut self, booking: Key) {
        self.booking = Some(booking);
    }

    /// Ends the booking; the ledger learns from it how long requests take if this one came to its end.
    pub(crate) fn end(&mut self, complete: bool) {
        if let Some(booking) = self.booking.take() {
            let book = &self.slots.book;
            book.lock().finish(booking, book.now(), complete);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.end(false);
        if let (Holds::Permit(permit), Source::Server(permits)) = (&mut self.holds, &self.slots.source)
            && let Some(permit) = permit.take()
        {
            drop(permits.settle(permit));
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
