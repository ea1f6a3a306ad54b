use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Attempt, InferenceRequest, Offer, Slot};
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
    pub(super) slot: Slot,
    pub(super) presence: Presence,
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

    /// Binds the request to a member; waits where those that could take it have no room.
    pub(super) async fn bind(mut self, fleet: &Fleet) -> Result<Bound, WorkerError> {
        let now = Instant::now();
        let roster = fleet.roster();
        let members = eligible(&roster.entries, self.needs, &self.failed, now)?;
        match self.choose(&roster, members, now) {
            Some(bound) => Ok(bound),
            None => Box::pin(self.wait(fleet)).await,
        }
    }

    /// Stands in line at all members that could take the request, until one has room or they are others.
    async fn wait(mut self, fleet: &Fleet) -> Result<Bound, WorkerError> {
        let mut rosters = fleet.rosters();
        loop {
            let now = Instant::now();
            let roster = rosters.borrow_and_update().clone();
            let members = eligible(&roster.entries, self.needs, &self.failed, now)?;
            let offers: Vec<_> = members.iter().map(|entry| entry.seat.offer()).collect();
            if let Some(bound) = self.choose(&roster, members, now) {
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
    fn choose(&mut self, roster: &Roster, mut members: Left<'_>, now: Instant) -> Option<Bound> {
        let mut lease = self.lease.take();
        if let Some(bound) =
            members.iter().filter(|entry| entry.seat.worker.is_due()).find_map(|due| take(due, &mut lease))
        {
            return Some(bound);
        }
        let mut candidates: SmallVec<[Candidate<'_>; 8]> =
            members.iter().map(|entry| candidate(entry, lease.as_ref(), now)).collect();
        loop {
            let free = |candidates: &[Candidate<'_>]| candidates.iter().position(|candidate| candidate.free == 0);
            while let Some(full) = free(&candidates) {
                candidates.remove(full);
                members.remove(full);
            }
            let place = match candidates.len() {
                0 => return None,
                1 => 0,
                several => roster.policy.choose(&self.ask(), &candidates).min(several - 1),
            };
            if let Some(bound) = take(members[place], &mut lease) {
                return Some(bound);
            }
            // Others were faster.
            candidates[place].free = 0;
        }
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
    let held = lease.is_some_and(|slot| slot.is_of(&seat.slots));
    Candidate {
        id: seat.id,
        name: &seat.name,
        weight: entry.weight,
        in_flight: seat.in_flight(),
        slots: seat.total(),
        free: seat.offer().free() + usize::from(held),
        first_token: seat.first_token(now),
        cost: seat.cost,
    }
}

/// Takes a slot of a member: the one that is held, if it is one of it.
fn take(entry: &Arc<Entry>, lease: &mut Option<Slot>) -> Option<Bound> {
    let seat = &entry.seat;
    let slot = match lease.take_if(|slot| slot.is_of(&seat.slots)) {
        Some(slot) => slot,
        None => seat.offer().try_acquire()?,
    };
    Some(Bound { entry: entry.clone(), slot, presence: seat.enter()? })
}
