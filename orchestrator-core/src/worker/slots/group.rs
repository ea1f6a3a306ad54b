use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use smallvec::SmallVec;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::worker::slots::Source;
use crate::worker::{Slot, Slots};

/// The slots of several servers as one: for workers around workers, which choose a server when they are called.
///
/// A slot of the [`slots`](Self::slots) holds one of a member, so nobody is let out of a queue for whom there is no room at any
/// of them. Which of them it is does not matter much: the worker finds it in the request's [`Lease`](crate::worker::Lease), and
/// may put one of another member, if that has a free one, in its place.
///
/// Several members may be of one server: its slots are counted once. Behind another group of several, that is not seen.
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::worker::{Lease, Offer, SlotGroup, Slots};
///
/// let two = NonZeroUsize::new(2).expect("not zero");
/// let (mac, gpu) = (Slots::new(two), Slots::new(two));
/// let group = SlotGroup::new();
/// group.offer([Offer::new(mac.clone()), Offer::new(gpu.clone())]);
/// assert_eq!((group.slots().total(), group.slots().free()), (4, 4));
///
/// let slot = group.slots().try_acquire().expect("four are free");
/// assert_eq!(mac.free() + gpu.free(), 3);
/// let member = Lease::of(&slot).take().expect("one of the two");
/// assert!(member.is_of(&mac) || member.is_of(&gpu));
/// ```
#[derive(Clone)]
pub struct SlotGroup(Slots);

/// Slots of one member as a [`SlotGroup`] offers them.
#[derive(Debug, Clone)]
pub struct Offer {
    slots: Slots,
    from: Option<Instant>,
    gate: Option<Slots>,
}

impl Offer {
    /// Offers all of them, now.
    #[must_use]
    pub const fn new(slots: Slots) -> Self {
        Self { slots, from: None, gate: None }
    }

    /// Offers them from an instant on.
    #[must_use]
    pub const fn from(mut self, from: Instant) -> Self {
        self.from = Some(from);
        self
    }

    /// Offers no more of them at once than there are in `gate`, of which one is taken with each.
    #[must_use]
    pub fn through(mut self, gate: Slots) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Takes one if one is free and is offered now.
    #[must_use]
    pub fn try_acquire(&self) -> Option<Slot> {
        if self.opens().is_some() {
            return None;
        }
        let gate = match &self.gate {
            None => None,
            Some(gate) => Some(gate.try_acquire()?),
        };
        Some(self.slots.try_acquire()?.with(gate))
    }

    /// Waits until they are offered, and for one of them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; a dropped waiter loses its place.
    pub async fn acquire(&self) -> Slot {
        self.opened().await;
        let gate = match &self.gate {
            None => None,
            Some(gate) => Some(Box::pin(gate.acquire()).await),
        };
        Box::pin(self.slots.acquire()).await.with(gate)
    }

    /// Waits until they are offered. The instant may change while it waits, if somebody looks at the server.
    async fn opened(&self) {
        loop {
            let looked = self.slots.0.book.looked();
            let Some(opens) = self.opens() else { return };
            select(pin!(tokio::time::sleep_until(opens)), pin!(looked)).await;
        }
    }

    /// Returns how many are free, and offered now.
    #[must_use]
    pub fn free(&self) -> usize {
        let gate = self.gate.as_ref().map_or(usize::MAX, Slots::free);
        if self.opens().is_some() { 0 } else { gate.min(self.slots.free()) }
    }

    /// Returns how many there are, where they are offered now.
    #[must_use]
    pub fn total(&self) -> usize {
        let gate = self.gate.as_ref().map_or(usize::MAX, Slots::total);
        if self.opens().is_some() { 0 } else { gate.min(self.slots.total()) }
    }

    /// Returns how long it takes until they are offered, or those behind them are, where they are of a group again; zero where
    /// they are now, or nobody knows.
    #[must_use]
    pub fn opens_in(&self) -> Duration {
        let behind = match &self.slots.0.source {
            Source::Group(group) => group.opens_in(),
            Source::Server(_) => Duration::ZERO,
        };
        let opens = self.opens().map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
        behind.max(opens)
    }

    /// Whose they are: a group that offers nothing but slots of one server, as a breaker does, stands for that server.
    fn server(&self) -> Slots {
        if let Source::Group(group) = &self.slots.0.source
            && let [only] = &*group.offers()
        {
            return only.server();
        }
        self.slots.clone()
    }

    /// When they will be offered; `None` where they are now.
    fn opens(&self) -> Option<Instant> {
        let suspended = self.slots.suspended_until();
        if self.from.is_none() && suspended.is_none() {
            return None;
        }
        let now = Instant::now();
        self.from.max(suspended).filter(|at| *at > now)
    }
}

impl SlotGroup {
    /// Makes a group without members: nobody gets a slot.
    #[must_use]
    pub fn new() -> Self {
        Self(Slots::from(Source::Group(Group { offers: watch::Sender::new(Arc::default()) })))
    }

    /// Returns the slots of all members; always the same object.
    #[must_use]
    pub fn slots(&self) -> Slots {
        self.0.clone()
    }

    /// Says what is offered from now on, in place of what was before. Those who wait are given slots of this; slots that are
    /// taken stay so.
    pub fn offer(&self, offers: impl IntoIterator<Item = Offer>) {
        if let Source::Group(group) = &self.0.0.source {
            group.offers.send_replace(offers.into_iter().collect());
        }
    }
}

impl Default for SlotGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SlotGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SlotGroup").field(&self.0).finish()
    }
}

/// What is offered now, and whoever waits is told when that changes.
pub(super) struct Group {
    offers: watch::Sender<Arc<[Offer]>>,
}

impl Group {
    fn offers(&self) -> Arc<[Offer]> {
        self.offers.borrow().clone()
    }

    pub(super) fn total(&self) -> usize {
        self.sum(Offer::total, Slots::total).min(Slots::MOST)
    }

    pub(super) fn free(&self) -> usize {
        self.sum(Offer::free, Slots::free)
    }

    /// Adds up what is offered. What several members have of one server is no more than the server has.
    fn sum(&self, offered: fn(&Offer) -> usize, has: fn(&Slots) -> usize) -> usize {
        let mut servers = SmallVec::<[(Slots, usize); 4]>::new();
        for offer in &*self.offers() {
            let (server, count) = (offer.server(), offered(offer));
            match servers.iter_mut().find(|(known, _)| Arc::ptr_eq(&known.0, &server.0)) {
                Some((_, sum)) => *sum = sum.saturating_add(count).min(has(&server)),
                None => servers.push((server, count)),
            }
        }
        servers.iter().map(|(_, count)| *count).fold(0, usize::saturating_add)
    }

    /// How long it takes until something is offered again; zero where nobody knows.
    pub(super) fn opens_in(&self) -> Duration {
        let opens_in = self.offers().iter().map(Offer::opens_in).filter(|pause| !pause.is_zero()).min();
        opens_in.unwrap_or_default()
    }

    pub(super) fn try_acquire(&self) -> Option<Slot> {
        take(&self.offers())
    }

    pub(super) async fn acquire(&self) -> Slot {
        let mut changes = self.offers.subscribe();
        loop {
            let offers = changes.borrow_and_update().clone();
            if let Some(slot) = take(&offers) {
                return slot;
            }
            // In all lines at once. A slot that comes to one of the others in the same moment goes on to who is next there.
            let mut waiting: FuturesUnordered<_> = offers.iter().map(Offer::acquire).collect();
            let first = async {
                match waiting.next().await {
                    Some(slot) => slot,
                    None => std::future::pending().await,
                }
            };
            if let Either::Left((slot, _)) = select(pin!(first), pin!(changes.changed())).await {
                return slot;
            }
        }
    }
}

/// Takes a slot of the member that has most of them free.
fn take(offers: &[Offer]) -> Option<Slot> {
    let most = offers.iter().max_by_key(|offer| offer.free())?;
    most.try_acquire().or_else(|| offers.iter().find_map(Offer::try_acquire))
}
