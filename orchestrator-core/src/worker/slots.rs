use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests a model server takes at once.
///
/// One shared object: clones share the same permits, whatever the number of pipelines around the server. The
/// inference stage takes a slot before a request leaves its queue and keeps it until the token stream has ended or
/// was dropped. Waiters are served in order of arrival.
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::worker::Slots;
///
/// let slots = Slots::new(NonZeroUsize::new(4).expect("not zero"));
/// let same = slots.clone();
/// assert_eq!((same.total(), same.free()), (4, 4));
/// ```
#[derive(Debug, Clone)]
pub struct Slots {
    permits: Arc<Semaphore>,
    total: usize,
}

impl Slots {
    /// Makes the permits of a server.
    ///
    /// # Panics
    ///
    /// Panics above 2^61 slots.
    #[must_use]
    #[track_caller]
    pub fn new(total: NonZeroUsize) -> Self {
        Self { permits: Arc::new(Semaphore::new(total.get())), total: total.get() }
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Returns how many are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// Waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; a dropped waiter loses its place.
    pub async fn acquire(&self) -> Slot {
        let permit = self.permits.clone().acquire_owned().await;
        Slot { _permit: permit.expect("the semaphore is private and never closed") }
    }

    /// Takes a slot if one is free.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Slot> {
        self.permits.clone().try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }
}

/// One slot of a server; freed when dropped.
#[derive(Debug)]
#[must_use = "the slot is free again when this is dropped"]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}
