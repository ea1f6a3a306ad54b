use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::worker::{Attempt, Offer, SlotGroup, Slots};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::consequence::Again;
use crate::policy::Policy;
use crate::pool::capability::{Seen, Standing, askable};
use crate::pool::member::Member;
use crate::pool::needs::Needs;
use crate::pool::outlier::{Outliers, judge};
use crate::pool::roster::{Entry, Roster};
use crate::pool::seat::Seat;
use crate::pool::waiting::Waiting;

/// What all clones of a pool, its streams and its task share.
pub(super) struct Fleet {
    pub(super) name: String,
    /// How often members are asked how they are.
    pub(super) health_every: Option<Duration>,
    roster: watch::Sender<Arc<Roster>>,
    slots: SlotGroup,
    /// Those who wait inside.
    pub(super) waiting: Waiting,
    outliers: Outliers,
}

impl Fleet {
    pub(super) fn new(name: String, health_every: Option<Duration>, waiting: usize, policy: Arc<dyn Policy>) -> Self {
        let info = crate::pool::roster::together(&name, &[]);
        let roster = Roster { policy, entries: Vec::new(), info };
        Self {
            name,
            health_every,
            roster: watch::Sender::new(Arc::new(roster)),
            slots: SlotGroup::new(),
            waiting: Waiting::up_to(waiting),
            outliers: Outliers::new(Instant::now()),
        }
    }

    pub(super) fn roster(&self) -> Arc<Roster> {
        self.roster.borrow().clone()
    }

    /// The roster and those that come after it.
    pub(super) fn rosters(&self) -> watch::Receiver<Arc<Roster>> {
        self.roster.subscribe()
    }

    pub(super) fn slots(&self) -> Slots {
        self.slots.slots()
    }

    /// Adds a member behind the others, or says what cannot be used of it.
    pub(super) fn add(&self, member: Member) -> Result<(), Vec<InvalidInput>> {
        let mut faults = member.faults();
        if !faults.is_empty() {
            faults.extend(self.roster().refuses(&member.name, member.embedder.as_deref()));
            return Err(faults);
        }
        let (info, weight) = (member.worker.info(), member.weight);
        let entry = Arc::new(Entry::new(Arc::new(Seat::new(member)), info, weight));
        self.replace(|roster| match roster.refuses(&entry.seat.name, entry.seat.embedder.as_deref()) {
            faults if faults.is_empty() => {
                let entries = roster.entries.iter().chain([&entry]).cloned().collect();
                Ok((roster.with(&self.name, entries), ()))
            }
            faults => Err(faults),
        })
    }

    /// Takes a member off the roster.
    pub(super) fn remove(&self, name: &str) -> Result<(), InvalidInput> {
        self.replace(|roster| {
            let mut entries = roster.entries.clone();
            let removed = entries.remove(roster.place(name)?);
            removed.seat.close(true);
            Ok((roster.with(&self.name, entries), ()))
        })
    }

    /// Changes what is known of a member.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Entry)) -> Result<Arc<Seat>, InvalidInput> {
        self.replace(|roster| {
            let mut entries = roster.entries.clone();
            let entry = &mut entries[roster.place(name)?];
            change(Arc::make_mut(entry));
            let seat = entry.seat.clone();
            Ok((roster.with(&self.name, entries), seat))
        })
    }

    /// Changes what is known of all members, if `change` says that something has changed.
    pub(super) fn change_all<T>(&self, change: impl FnOnce(&mut [Arc<Entry>]) -> Option<T>) -> Option<T> {
        let changed = self.replace(|roster| {
            let mut entries = roster.entries.clone();
            let changed = change(&mut entries).ok_or(())?;
            Ok::<_, ()>((roster.with(&self.name, entries), changed))
        });
        changed.ok()
    }

    pub(super) fn set_policy(&self, policy: Arc<dyn Policy>) {
        let set = self.replace(|roster| Ok::<_, Infallible>((Roster { policy, ..roster.clone() }, ())));
        set.unwrap_or_else(|never| match never {});
    }

    /// Puts another roster in the place of the one that there is, if `with` makes one. It runs under the roster's lock; whoever
    /// waits is woken, and what the old one alone holds is dropped, behind it.
    fn replace<T, E>(&self, with: impl FnOnce(&Roster) -> Result<(Roster, T), E>) -> Result<T, E> {
        let mut done = None;
        self.roster.send_if_modified(|current| match with(current) {
            Ok((roster, value)) => {
                done = Some(Ok((value, std::mem::replace(current, Arc::new(roster)))));
                true
            }
            Err(error) => {
                done = Some(Err(error));
                false
            }
        });
        let (value, _replaced) = done.expect("it has just been called")?;
        self.offer();
        Ok(value)
    }

    /// Offers what the roster says; what is offered last must be what the last one says, whoever was the last to offer.
    fn offer(&self) {
        loop {
            let (roster, now) = (self.roster(), Instant::now());
            self.slots.offer(roster.entries.iter().filter(|entry| !entry.draining).map(|entry| offer(entry, now)));
            if Arc::ptr_eq(&roster, &self.roster()) {
                return;
            }
        }
    }

    /// Looks from time to time whether a member does much worse than the others.
    pub(super) fn look_for_outliers(&self, now: Instant) {
        if self.outliers.is_time(now)
            && let Some((member, pause)) = self.change_all(|entries| judge(entries, now))
        {
            tracing::warn!(member, ?pause, "does much worse than the others, and is left alone");
        }
    }

    /// Whether a member that has not failed for this request has a slot free for it; or where who failed `last` is not asked
    /// again itself, will have one.
    pub(super) fn is_another_there(&self, needs: &Needs, failed: &[Attempt], last: Again, now: Instant) -> bool {
        let roster = self.roster();
        let has_room = |seen: &Seen<'_>| last == Again::No || seen.seat.behind().free() > 0;
        askable(&roster.entries, needs, failed, now).is_ok_and(|members| {
            members.iter().any(|seen| seen.standing == Standing::Fresh && seen.takes(now) && has_room(seen))
        })
    }
}

/// What a member offers upward; while it is unavailable its slots are suspended, so that this need not be offered again.
pub(super) fn offer(entry: &Entry, now: Instant) -> Offer {
    let offer = entry.seat.offer().clone();
    match entry.ejected.filter(|until| *until > now) {
        Some(until) => offer.from(until),
        None => offer,
    }
}
