use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Attempt, InferenceRequest, Lease, Offer, Slot};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::policy::{Ask, Candidate};
use crate::pool::capability::{Left, eligible};
use crate::pool::fleet::Fleet;
use crate::pool::needs::Needs;
use crate::pool::roster::{Entry, Roster};
use crate::pool::seat::Presence;

/// A request's member, and its place there.
pub(super) struct Bound {
    pub(super) entry: Arc<Entry>,
    /// The slot that its breaker gave, where it came through that.
    pub(super) slot: Option<Slot>,
    /// The slot of its server.
    pub(super) lease: Lease,
    pub(super) presence: Presence,
    pub(super) now: Instant,
}

/// A request that looks for a member.
pub(super) struct Search<'a> {
    request: &'a InferenceRequest,
    needs: &'a Needs,
    failed: Vec<Attempt>,
    /// What was taken for it before: a slot of a member that may be the right one.
    lease: Option<Slot>,
}

impl<'a> Search<'a> {
    pub(super) fn new(request: &'a InferenceRequest, needs: &'a Needs, lease: Option<Slot>) -> Self {
        Self { request, needs, failed: request.attempts.all(), lease }
    }

    /// Binds the request to a member that has room; `None` where none has that could take it.
    pub(super) fn try_bind(&mut self, fleet: &Fleet) -> Result<Option<Bound>, WorkerError> {
        let now = Instant::now();
        let roster = fleet.roster();
        let members = eligible(&roster.entries, self.needs, &self.failed, now)?;
        Ok(self.choose(&roster, &members, now))
    }

    /// Stands in line at all members that could take the request, until one has room or they are others.
    pub(super) async fn wait(mut self, fleet: &Fleet) -> Result<Bound, WorkerError> {
        let mut rosters = fleet.rosters();
        loop {
            let now = Instant::now();
            let roster = rosters.borrow_and_update().clone();
            let members = eligible(&roster.entries, self.needs, &self.failed, now)?;
            let offers: Vec<_> = members.iter().map(|member| member.seat.offer().clone()).collect();
            if let Some(bound) = self.choose(&roster, &members, now) {
                return Ok(bound);
            }
            let mut lines: FuturesUnordered<_> = offers.iter().map(Offer::acquire).collect();
            let changed = std::pin::pin!(rosters.changed());
            if let Either::Left((slot, _)) = select(lines.next(), changed).await {
                self.lease = slot;
            }
        }
    }

    /// Chooses among those that have room, and takes a slot there. What was taken before is free afterwards, if it is not that.
    fn choose(&mut self, roster: &Roster, members: &Left<'_>, now: Instant) -> Option<Bound> {
        let mut lease = self.lease.take();
        let mut due = members.iter().filter(|member| member.is_due(now));
        if let Some(bound) = due.find_map(|due| take(due.entry, &mut lease, true, now)) {
            return Some(bound);
        }
        let open = members.iter().filter(|member| !member.is_due(now)).map(|member| member.entry);
        let mut open: SmallVec<[_; 8]> = open.filter(|entry| room(entry, lease.as_ref()) > 0).collect();
        while !open.is_empty() {
            let entry = open.remove(self.place(roster, &open, lease.as_ref(), now));
            // There is no slot if others were faster.
            if let Some(bound) = take(entry, &mut lease, false, now) {
                return Some(bound);
            }
        }
        None
    }

    fn place(&self, roster: &Roster, open: &[&Arc<Entry>], lease: Option<&Slot>, now: Instant) -> usize {
        if open.len() == 1 {
            return 0;
        }
        let candidates: SmallVec<[_; 8]> = open.iter().map(|entry| candidate(entry, lease, now)).collect();
        roster.policy.choose(&self.ask(), &candidates).min(open.len() - 1)
    }

    fn ask(&self) -> Ask<'a> {
        let context = &self.request.context;
        Ask {
            session: context.session(),
            tenant: context.tenant(),
            prompt_tokens: self.needs.prompt_tokens,
            max_tokens: self.needs.max_tokens,
        }
    }
}

fn candidate<'a>(entry: &'a Entry, lease: Option<&Slot>, now: Instant) -> Candidate<'a> {
    let seat = &entry.seat;
    let (first_token, measured) = seat.record(|record| (record.first_token.get(now), record.first_token.measured()));
    Candidate {
        id: seat.id,
        name: &seat.name,
        weight: entry.weight,
        in_flight: seat.in_flight(),
        slots: seat.total(),
        free: room(entry, lease),
        first_token,
        measured,
        cost: seat.cost,
    }
}

/// How many slots a member has free, with the one that is held for it.
fn room(entry: &Entry, lease: Option<&Slot>) -> usize {
    entry.seat.behind().free() + usize::from(lease.is_some_and(|slot| entry.seat.offered(slot)))
}

/// Takes a slot of a member: the one that is held, if it is one of it. One that is due for its probe gives it through its breaker,
/// which lets one pass.
fn take(entry: &Arc<Entry>, lease: &mut Option<Slot>, due: bool, now: Instant) -> Option<Bound> {
    let seat = &entry.seat;
    let slot = match lease.take_if(|slot| seat.offered(slot)) {
        None if !due => {
            let lease = Lease::from(seat.behind().try_acquire()?);
            return Some(Bound { entry: entry.clone(), slot: None, lease, presence: seat.enter()?, now });
        }
        None => seat.offer().try_acquire()?,
        Some(slot) => slot,
    };
    let lease = Lease::of(&slot);
    Some(Bound { entry: entry.clone(), slot: Some(slot), lease, presence: seat.enter()?, now })
}
