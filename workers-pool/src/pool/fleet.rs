use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::worker::{Attempt, Offer, SlotGroup, Slots};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::policy::Policy;
use crate::pool::capability::eligible;
use crate::pool::lock;
use crate::pool::member::Member;
use crate::pool::needs::Needs;
use crate::pool::outlier::{Outliers, judge};
use crate::pool::roster::{Entry, Roster};
use crate::pool::seat::Seat;

/// What all clones of a pool, its streams and its task share.
pub(super) struct Fleet {
    pub(super) name: String,
    /// How often members are asked how they are.
    pub(super) health_every: Option<Duration>,
    roster: watch::Sender<Arc<Roster>>,
    slots: SlotGroup,
    outliers: Outliers,
    /// The number of the next member. Held while the roster changes, so that what is offered is what the last one says.
    next_id: Mutex<u64>,
}

impl Fleet {
    pub(super) fn new(name: String, health_every: Option<Duration>, policy: Arc<dyn Policy>) -> Self {
        let info = crate::pool::roster::together(&name, &[]);
        let roster = Roster { policy, entries: Vec::new(), info };
        Self {
            name,
            health_every,
            roster: watch::Sender::new(Arc::new(roster)),
            slots: SlotGroup::new(),
            outliers: Outliers::new(Instant::now()),
            next_id: Mutex::new(0),
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
        let (mut faults, info, weight) = (member.faults(), member.worker.info(), member.weight);
        let mut next_id = lock(&self.next_id);
        let roster = self.roster();
        faults.extend(roster.refuses(&member));
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut entries = roster.entries.clone();
        entries.push(Arc::new(Entry::new(Arc::new(Seat::new(*next_id, member)), info, weight)));
        *next_id += 1;
        let old = self.replace(|roster| roster.with(&self.name, entries));
        drop(next_id);
        drop((old, roster));
        Ok(())
    }

    /// Takes a member off the roster.
    pub(super) fn remove(&self, name: &str) -> Result<(), InvalidInput> {
        let changing = lock(&self.next_id);
        let mut entries = self.roster().entries.clone();
        let place = entries.iter().position(|entry| entry.seat.name == name).ok_or_else(|| unknown(name))?;
        let removed = entries.remove(place);
        removed.seat.close(true);
        let old = self.replace(|roster| roster.with(&self.name, entries));
        drop(changing);
        drop((removed, old));
        Ok(())
    }

    /// Changes what is known of a member.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Entry)) -> Result<Arc<Seat>, InvalidInput> {
        let changing = lock(&self.next_id);
        let mut entries = self.roster().entries.clone();
        let entry = entries.iter_mut().find(|entry| entry.seat.name == name).ok_or_else(|| unknown(name))?;
        change(Arc::make_mut(entry));
        let seat = entry.seat.clone();
        let old = self.replace(|roster| roster.with(&self.name, entries));
        drop(changing);
        drop(old);
        Ok(seat)
    }

    /// Changes what is known of all members, if `change` says that it has.
    pub(super) fn change_all(&self, mut change: impl FnMut(&mut [Arc<Entry>]) -> bool) {
        let changing = lock(&self.next_id);
        let mut entries = self.roster().entries.clone();
        if change(&mut entries) {
            let old = self.replace(|roster| roster.with(&self.name, entries));
            drop(changing);
            drop(old);
        }
    }

    pub(super) fn set_policy(&self, policy: Arc<dyn Policy>) {
        let changing = lock(&self.next_id);
        let old = self.replace(|roster| Roster { policy, ..roster.clone() });
        drop(changing);
        drop(old);
    }

    /// Puts another roster in the place of the one that there is, and returns that: what it alone holds is users' code, which is
    /// dropped behind the lock.
    fn replace(&self, with: impl FnOnce(&Roster) -> Roster) -> Arc<Roster> {
        let roster = Arc::new(with(&self.roster()));
        let now = Instant::now();
        let old = self.roster.send_replace(roster.clone());
        self.slots.offer(roster.entries.iter().filter(|entry| !entry.draining).map(|entry| offer(entry, now)));
        old
    }

    /// Looks from time to time whether a member does much worse than the others.
    pub(super) fn look_for_outliers(&self, now: Instant) {
        if self.outliers.is_time(now) {
            self.change_all(|entries| judge(entries, now));
        }
    }

    /// Whether a member that has not failed for this request takes it: at once, or when one of its slots is free.
    pub(super) fn takes_now(&self, needs: &Needs, failed: &[Attempt], now: Instant) -> bool {
        let roster = self.roster();
        let members = eligible(&roster.entries, needs, failed, now);
        members.is_ok_and(|members| {
            let fresh = |entry: &Entry| !failed.iter().any(|attempt| entry.made(attempt));
            members.iter().any(|member| fresh(member.entry))
        })
    }
}

/// What a member offers upward.
fn offer(entry: &Entry, now: Instant) -> Offer {
    let offer = entry.seat.offer().clone();
    match entry.rests_until(now) {
        Some(until) => offer.from(until),
        None => offer,
    }
}

pub(super) fn unknown(name: &str) -> InvalidInput {
    InvalidInput::new("member", format!("`{name}` is not in the pool"))
}
