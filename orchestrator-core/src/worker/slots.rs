use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::{Book, Key};
use crate::worker::{Health, HealthStatus};

/// How many requests a model server takes at once.
///
/// One shared object: clones share the same permits, whatever the number of pipelines around the server. The
/// inference stage takes a slot before a request leaves its queue and keeps it until the token stream has ended or
/// was dropped. Waiters are served in order of arrival.
///
/// With the permits comes the ledger of all requests that pipelines have booked at them: by it a door that
/// [predicts](crate::stage::ShedPolicy::Predictive) knows what is ahead, and tenants get their turns.
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::worker::Slots;
///
/// let slots = Slots::new(NonZeroUsize::new(4).expect("not zero"));
/// let same = slots.clone();
/// assert_eq!((same.total(), same.free()), (4, 4));
/// ```
#[derive(Clone)]
pub struct Slots(Arc<Shared>);

struct Shared {
    permits: Arc<Semaphore>,
    total: AtomicUsize,
    /// Permits that are out and are not to come back, since there are fewer slots now.
    owed: AtomicUsize,
    /// Held while the total changes.
    limits: Mutex<Limits>,
    book: Book,
}

/// What the total is the smaller of.
#[derive(Default)]
struct Limits {
    /// What the server said last.
    told: Option<NonZeroUsize>,
    /// The smallest that a user set.
    set: Option<NonZeroUsize>,
}

impl Limits {
    fn total(&self) -> Option<NonZeroUsize> {
        self.told.into_iter().chain(self.set).min()
    }
}

/// The slots of servers that several workers of this process may talk to.
static SERVERS: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

impl Slots {
    /// The most that there can be.
    pub const MOST: usize = Semaphore::MAX_PERMITS;

    /// Makes the permits of a server that only the clones of one worker talk to.
    ///
    /// # Panics
    ///
    /// Panics above [`Slots::MOST`].
    #[must_use]
    #[track_caller]
    pub fn new(total: NonZeroUsize) -> Self {
        Self(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(total.get())),
            total: total.get().into(),
            owed: 0.into(),
            limits: Mutex::new(Limits { told: Some(total), set: None }),
            book: Book::new(),
        }))
    }

    /// Returns the slots of a server, the same for every worker of this process that names it alike. `total` is what the
    /// server itself says now, and holds for all of them.
    ///
    /// ```
    /// # use std::num::NonZeroUsize;
    /// # use orchestrator_core::worker::Slots;
    /// # let two = NonZeroUsize::new(2).expect("not zero");
    /// let one = Slots::of_server("http://127.0.0.1:8080", two);
    /// let other = Slots::of_server("http://127.0.0.1:8080", two);
    /// let slot = one.try_acquire();
    /// assert_eq!(other.free(), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics above [`Slots::MOST`].
    #[must_use]
    #[track_caller]
    pub fn of_server(server: &str, total: NonZeroUsize) -> Self {
        let slots = Self::shared(server, total);
        slots.change(|limits| limits.told = Some(total));
        slots
    }

    /// Returns the slots of a server of which a user says that no more than `most` are to be used.
    ///
    /// As long as somebody holds them, the smallest that was said holds, and what the server itself says where that is less.
    ///
    /// # Panics
    ///
    /// Panics above [`Slots::MOST`].
    #[must_use]
    #[track_caller]
    pub fn at_most(server: &str, most: NonZeroUsize) -> Self {
        let slots = Self::shared(server, most);
        slots.change(|limits| limits.set = limits.set.into_iter().chain([most]).min());
        slots
    }

    /// The slots of a server, made where nobody holds any.
    #[track_caller]
    fn shared(server: &str, total: NonZeroUsize) -> Self {
        let new = Self::new(total);
        *new.limits() = Limits::default();
        let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(server).and_then(Weak::upgrade) {
            return Self(known);
        }
        servers.retain(|_, slots| slots.strong_count() > 0);
        servers.insert(server.to_owned(), Arc::downgrade(&new.0));
        new
    }

    /// Returns the slots of a server that a worker of this process has told of.
    ///
    /// For workers that do not know how many there are, and must not take more than is left.
    #[must_use]
    pub fn known(server: &str) -> Option<Self> {
        let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(server).and_then(Weak::upgrade).map(Self)
    }

    /// Changes how many there are, as the server says.
    ///
    /// Where there are fewer, those that are taken stay so until they are dropped. More than a user set there never are.
    ///
    /// # Panics
    ///
    /// Panics above [`Slots::MOST`].
    #[track_caller]
    pub fn resize(&self, total: NonZeroUsize) {
        self.change(|limits| limits.told = Some(total));
    }

    /// Says that the server takes nothing now, and that it will be looked at again after `probe`.
    ///
    /// Until then, or until [`resume`](Self::resume), doors that [predict](crate::stage::ShedPolicy::Predictive) refuse
    /// everything for these slots as [`Unavailable`](crate::error::RefuseReason::Unavailable), and say when to come back.
    /// Requests that are inside already are not touched. Workers call it when their server says that it cannot answer.
    pub fn suspend(&self, probe: Duration) {
        self.0.book.suspend(probe);
    }

    /// Says that the server takes requests again.
    pub fn resume(&self) {
        self.0.book.resume();
    }

    /// Takes note of how the server was found to be: while it is unavailable they are [suspended](Self::suspend), for five
    /// seconds unless somebody looks again before.
    ///
    /// For [`ModelWorker::health`](crate::worker::ModelWorker::health), so that a service that asks for it regularly refuses
    /// what its server could not take.
    pub fn heed(&self, health: &Health) {
        const PROBE: Duration = Duration::from_secs(5);
        match health.status {
            HealthStatus::Unavailable => self.suspend(PROBE),
            HealthStatus::Ready => self.resume(),
            HealthStatus::Unknown => {}
        }
    }

    /// The ledger of what is booked at them.
    pub(crate) fn book(&self) -> &Book {
        &self.0.book
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.0.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn change(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = self.limits();
        change(&mut limits);
        let Some(total) = limits.total() else { return };
        assert!(total.get() <= Self::MOST, "there cannot be {total} slots");
        let before = self.0.total.swap(total.get(), Ordering::AcqRel);
        if total.get() < before {
            let fewer = before - total.get();
            self.0.owed.fetch_add(fewer, Ordering::AcqRel);
            // Those that are free now pay at once, the others when they come back; some may have come back meanwhile.
            let free = self.0.permits.forget_permits(fewer);
            let paid = self.0.pay(free);
            self.0.permits.add_permits(free - paid);
        } else {
            let more = total.get() - before;
            let paid = self.0.pay(more);
            self.0.permits.add_permits(more - paid);
        }
    }

    /// Returns how many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total.load(Ordering::Acquire)
    }

    /// Returns how many are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// Waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; a dropped waiter loses its place.
    pub async fn acquire(&self) -> Slot {
        loop {
            let permit = self.0.permits.clone().acquire_owned().await;
            let permit = permit.expect("the semaphore is private and never closed");
            if let Some(slot) = self.take(permit) {
                return slot;
            }
        }
    }

    /// Takes a slot if one is free.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Slot> {
        loop {
            let permit = self.0.permits.clone().try_acquire_owned().ok()?;
            let slot = self.take(permit);
            if slot.is_some() {
                return slot;
            }
        }
    }

    /// Makes a slot of a permit, unless one is owed: it may have come back while the slots became fewer.
    fn take(&self, permit: OwnedSemaphorePermit) -> Option<Slot> {
        let permit = self.0.settle(permit)?;
        Some(Slot { permit: Some(permit), slots: self.0.clone(), booking: None })
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("total", &self.total()).field("free", &self.free()).finish()
    }
}

impl Shared {
    /// Takes up to `permits` off what is owed; returns how many.
    fn pay(&self, permits: usize) -> usize {
        let pay = |owed: usize| Some(owed.saturating_sub(permits));
        let owed = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay).unwrap_or_default();
        owed.min(permits)
    }

    /// Lets go of a permit, for ever where one is owed; returns it where none is.
    fn settle(&self, permit: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        if self.pay(1) == 0 {
            return Some(permit);
        }
        permit.forget();
        None
    }
}

/// One slot of a server; freed when dropped.
#[must_use = "the slot is free again when this is dropped"]
pub struct Slot {
    /// `None` only while it is dropped.
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Shared>,
    /// What is booked for the request that has it.
    booking: Option<Key>,
}

impl Slot {
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
        if let Some(permit) = self.permit.take() {
            drop(self.slots.settle(permit));
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("not zero")
    }

    #[test]
    fn workers_of_one_server_share_its_slots() {
        let one = Slots::of_server("http://one", count(2));
        let other = Slots::of_server("http://one", count(2));
        let elsewhere = Slots::of_server("http://elsewhere", count(2));
        assert!(Slots::known("http://nowhere").is_none());
        assert_eq!(Slots::known("http://one").expect("known").total(), 2);
        let slot = one.try_acquire().expect("free");
        assert_eq!((other.free(), elsewhere.free()), (1, 2));
        drop((slot, one, other));
        assert_eq!(Slots::of_server("http://one", count(5)).free(), 5);
    }

    #[test]
    fn what_the_server_says_last_holds_for_all_of_its_workers() {
        let one = Slots::of_server("http://resized", count(4));
        let taken: Vec<_> = (0..3).map(|_| one.try_acquire().expect("free")).collect();
        let other = Slots::of_server("http://resized", count(2));
        assert_eq!((one.total(), one.free()), (2, 0));
        let mut taken = taken.into_iter();
        drop(taken.next());
        assert_eq!(one.free(), 0, "two are still taken");
        drop(taken.next());
        assert_eq!(other.free(), 1);
        drop(taken);
        assert_eq!(other.free(), 2);
    }

    #[test]
    fn a_users_number_never_raises_what_the_server_said() {
        let told = Slots::of_server("http://capped", count(2));
        assert_eq!(Slots::at_most("http://capped", count(8)).total(), 2);
        assert_eq!(Slots::at_most("http://capped", count(1)).total(), 1);
        told.resize(count(4));
        assert_eq!(told.total(), 1, "the user's number still holds");
        drop(told);
        assert_eq!(Slots::at_most("http://capped", count(3)).free(), 3);
        let most = Slots::at_most("http://huge", count(4));
        most.resize(count(Slots::MOST));
        assert_eq!((most.total(), most.free()), (4, 4));
    }

    #[test]
    fn slots_that_come_back_before_those_that_are_owed_have_gone_are_not_too_many() {
        let slots = Slots::new(count(3));
        let taken: Vec<_> = (0..3).map(|_| slots.try_acquire().expect("free")).collect();
        slots.resize(count(1));
        slots.resize(count(4));
        assert_eq!((slots.total(), slots.free()), (4, 1));
        drop(taken);
        assert_eq!(slots.free(), 4);
    }

    #[test]
    fn no_slot_is_lost_or_made_while_their_number_changes() {
        let slots = Slots::new(count(4));
        std::thread::scope(|threads| {
            for _ in 0..3 {
                threads.spawn(|| {
                    for _ in 0..2_000 {
                        let taken: Vec<_> = (0..3).filter_map(|_| slots.try_acquire()).collect();
                        std::thread::yield_now();
                        drop(taken);
                    }
                });
            }
            for round in 0..2_000 {
                slots.resize(count(1 + round % 7));
            }
        });
        slots.resize(count(3));
        assert_eq!((slots.total(), slots.free()), (3, 3));
    }
}
