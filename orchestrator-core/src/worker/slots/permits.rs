use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runtime::cell::lock;

/// The permits of one server, whose number may change.
pub(super) struct Permits {
    permits: Arc<Semaphore>,
    total: AtomicUsize,
    /// Permits that are out and are not to come back, since there are fewer slots now.
    owed: AtomicUsize,
    /// Held while the total changes.
    limits: Mutex<Limits>,
}

/// What the total is the smaller of.
#[derive(Default)]
pub(super) struct Limits {
    /// What the server said last.
    pub(super) told: Option<NonZeroUsize>,
    /// The smallest that a user set.
    pub(super) set: Option<NonZeroUsize>,
}

impl Limits {
    fn total(&self) -> Option<NonZeroUsize> {
        self.told.into_iter().chain(self.set).min()
    }
}

impl Permits {
    pub(super) fn new(total: NonZeroUsize, limits: Limits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(total.get())),
            total: total.get().into(),
            owed: 0.into(),
            limits: Mutex::new(limits),
        }
    }

    #[track_caller]
    pub(super) fn change(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = lock(&self.limits);
        change(&mut limits);
        let Some(total) = limits.total() else { return };
        assert!(total.get() <= Semaphore::MAX_PERMITS, "there cannot be {total} slots");
        let before = self.total.swap(total.get(), Ordering::AcqRel);
        if total.get() < before {
            let fewer = before - total.get();
            self.owed.fetch_add(fewer, Ordering::AcqRel);
            // Those that are free now pay at once, the others when they come back; some may have come back meanwhile.
            let free = self.permits.forget_permits(fewer);
            let paid = self.pay(free);
            self.permits.add_permits(free - paid);
        } else {
            let more = total.get() - before;
            let paid = self.pay(more);
            self.permits.add_permits(more - paid);
        }
    }

    pub(super) fn total(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    pub(super) fn free(&self) -> usize {
        self.permits.available_permits()
    }

    pub(super) async fn acquire(&self) -> OwnedSemaphorePermit {
        loop {
            let permit = self.permits.clone().acquire_owned().await;
            // It may be owed, as it came back while the slots became fewer.
            if let Some(permit) = self.settle(permit.expect("the semaphore is private and never closed")) {
                return permit;
            }
        }
    }

    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let permit = self.permits.clone().try_acquire_owned().ok()?;
            let permit = self.settle(permit);
            if permit.is_some() {
                return permit;
            }
        }
    }

    /// Lets go of a permit, for ever where one is owed; returns it where none is.
    pub(super) fn settle(&self, permit: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        if self.pay(1) == 0 {
            return Some(permit);
        }
        permit.forget();
        None
    }

    /// Takes up to `permits` off what is owed; returns how many.
    fn pay(&self, permits: usize) -> usize {
        let pay = |owed: usize| Some(owed.saturating_sub(permits));
        let owed = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay).unwrap_or_default();
        owed.min(permits)
    }
}
