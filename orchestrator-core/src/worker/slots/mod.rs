//! How many requests a server takes at once, or several servers together.

mod group;
mod lease;
mod permits;
mod slot;
#[cfg(test)]
mod tests;

pub use group::{Offer, SlotGroup};
pub use lease::Lease;
pub use slot::Slot;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::admission::{Book, Supply};
use crate::worker::slots::group::Group;
use crate::worker::slots::permits::{Limits, Permits};
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
/// Those of several servers together are a [`SlotGroup`].
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
    source: Source,
    book: Book,
}

/// Whose slots they are.
enum Source {
    Server(Permits),
    Group(Group),
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
        Self::from(Source::Server(Permits::new(total, Limits { told: Some(total), set: None })))
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
        let new = Self::from(Source::Server(Permits::new(total, Limits::default())));
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
    /// Where there are fewer, those that are taken stay so until they are dropped. More than a user set there never are. A
    /// [group](SlotGroup) has what its members have, and is not changed by this.
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

    /// What of them, and of no more than `most`, is there for whoever asks at `now` of the book's clock.
    pub(crate) fn supply(&self, most: usize, now: u64) -> Supply {
        let supply = self.0.book.supply(self.total().min(most), now);
        match &self.0.source {
            Source::Group(group) if supply.slots == 0 && supply.probe == 0.0 => {
                Supply { probe: group.opens_in().as_secs_f64(), ..supply }
            }
            _ => supply,
        }
    }

    /// Until when the server takes nothing, as somebody has said.
    fn suspended_until(&self) -> Option<Instant> {
        self.0.book.suspended_until()
    }

    #[track_caller]
    fn change(&self, change: impl FnOnce(&mut Limits)) {
        if let Source::Server(permits) = &self.0.source {
            permits.change(change);
        }
    }

    /// Returns how many there are; of a group, those that can be had now or when others are done with them.
    #[must_use]
    pub fn total(&self) -> usize {
        match &self.0.source {
            Source::Server(permits) => permits.total(),
            Source::Group(group) => group.total(),
        }
    }

    /// Returns how many are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        match &self.0.source {
            Source::Server(permits) => permits.free(),
            Source::Group(group) => group.free(),
        }
    }

    /// Waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; a dropped waiter loses its place.
    pub async fn acquire(&self) -> Slot {
        match &self.0.source {
            Source::Server(permits) => Slot::of_server(permits.acquire().await, self.0.clone()),
            Source::Group(group) => Slot::of_group(group.acquire().await, self.0.clone()),
        }
    }

    /// Takes a slot if one is free.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Slot> {
        match &self.0.source {
            Source::Server(permits) => Some(Slot::of_server(permits.try_acquire()?, self.0.clone())),
            Source::Group(group) => Some(Slot::of_group(group.try_acquire()?, self.0.clone())),
        }
    }
}

impl From<Source> for Slots {
    fn from(source: Source) -> Self {
        Self(Arc::new(Shared { source, book: Book::new() }))
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("total", &self.total()).field("free", &self.free()).finish()
    }
}
