use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::table::{Ending, Place, Session, Table};
use crate::registry::Registry;

type Shared = Arc<Mutex<Table>>;

static SERVERS: Registry<Mutex<Table>> = Registry::new();

/// The places of one server; clones, and those of other workers of the same server, share them.
#[derive(Clone)]
pub(crate) struct Pins(Shared);

impl Pins {
    /// Returns the places of a server; `slots` is what the server says now, and holds for all of its workers.
    pub(crate) fn of_server(server: &str, slots: usize) -> Self {
        let pins = Self(SERVERS.of_server(server, || Mutex::new(Table::new(slots))));
        pins.resize(slots);
        pins
    }

    /// Starts again where the server now has another number of slots.
    pub(crate) fn resize(&self, slots: usize) {
        lock(&self.0).resize(slots);
    }

    /// Finds a place for a request; it is free again when the lease has ended. `prompt` is what shall be found again when the
    /// session comes back with more behind it.
    pub(crate) fn place(&self, session: Option<&Session>, prompt: &[u8]) -> Lease {
        self.lease(|table| table.place(session, prompt))
    }

    /// Notes a request whose caller has named a slot.
    pub(crate) fn named(&self, slot: usize, session: Option<&Session>, prompt: &[u8]) -> Lease {
        self.lease(|table| table.named(slot, session, prompt))
    }

    /// Notes a request that goes where the server wants.
    pub(crate) fn unplaced(&self) -> Lease {
        self.lease(Table::unplaced)
    }

    fn lease(&self, place: impl FnOnce(&mut Table) -> Place) -> Lease {
        let place = place(&mut lock(&self.0));
        Lease { table: self.0.clone(), place, ending: Ending::Abandoned }
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pins").field(&*lock(&self.0)).finish()
    }
}

/// A request's place at the server, free again when this is dropped.
#[must_use = "the place is free again when this is dropped"]
pub(crate) struct Lease {
    table: Shared,
    place: Place,
    ending: Ending,
}

impl Lease {
    /// Returns the slot that the request shall name; `None` where the server chooses.
    pub(crate) const fn slot(&self) -> Option<usize> {
        self.place.slot()
    }

    /// Ends it with an answer that was whole, and how many tokens of its prompt the server had already, where it says so.
    pub(crate) fn finish(mut self, cached_tokens: Option<u64>) {
        self.ending = Ending::Whole { cached: cached_tokens };
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.table).leave(&self.place, self.ending);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.place).finish()
    }
}

/// Nothing of a user's runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
