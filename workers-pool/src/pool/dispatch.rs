use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use orchestrator_core::error::{Phase, WorkerError};
use orchestrator_core::worker::{Attempt, InferenceRequest, Lease, Offer, Slot, Timeouts};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::policy::{Ask, Candidate};
use crate::pool::capability::{Left, Seen, Standing, askable, nobody_takes};
use crate::pool::fleet::{Fleet, offer};
use crate::pool::needs::Needs;
use crate::pool::roster::{Entry, Roster};
use crate::pool::seat::Presence;

/// How long nobody stands in line behind a slot that was of no use.
const MOMENT: Duration = Duration::from_millis(10);

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
        self.look(&fleet.roster()).map(|(_, bound)| bound)
    }

    /// Stands in line at all members that could take the request, until one has room or they are others: as long as a first
    /// token may take.
    pub(super) async fn wait(mut self, fleet: &Fleet) -> Result<Bound, WorkerError> {
        let _place = fleet.waiting.enter()?;
        match Timeouts::default().of(&self.request.context).first_token {
            None => self.stand_in_line(fleet).await,
            Some(limit) => {
                let bound = tokio::time::timeout(limit, self.stand_in_line(fleet)).await;
                bound.unwrap_or_else(|_| Err(WorkerError::timeout(Phase::FirstToken, limit)))
            }
        }
    }

    async fn stand_in_line(&mut self, fleet: &Fleet) -> Result<Bound, WorkerError> {
        let mut rosters = fleet.rosters();
        loop {
            let roster = rosters.borrow_and_update().clone();
            let had_slot = self.lease.is_some();
            let (members, bound) = self.look(&roster)?;
            if let Some(bound) = bound {
                return Ok(bound);
            }
            if had_slot {
                // Its member turned it down in the same moment, and may still offer it.
                tokio::time::sleep(MOMENT).await;
            }
            let now = Instant::now();
            let offers: Vec<_> = members.iter().map(|member| offer(member.entry, now)).collect();
            let mut lines: FuturesUnordered<_> = offers.iter().map(Offer::acquire).collect();
            let changed = std::pin::pin!(rosters.changed());
            if let Either::Left((slot, _)) = select(lines.next(), changed).await {
                self.lease = slot;
            }
        }
    }

    /// Looks who could take the request, and binds it where one of them has room.
    fn look<'r>(&mut self, roster: &'r Roster) -> Result<(Left<'r>, Option<Bound>), WorkerError> {
        let now = Instant::now();
        let members = askable(&roster.entries, self.needs, &self.failed, now)?;
        let bound = self.choose(roster, &members, now);
        if bound.is_none() && !members.iter().any(|member| member.takes(now)) {
            return Err(nobody_takes(&members, now));
        }
        Ok((members, bound))
    }

    /// Chooses among the best of those that have room, and takes a slot there. What was taken before is free afterwards, if it
    /// is not that.
    fn choose(&mut self, roster: &Roster, members: &Left<'_>, now: Instant) -> Option<Bound> {
        let mut lease = self.lease.take();
        let standings = [Standing::Fresh, Standing::Failed, Standing::Silent];
        let tiers = if self.failed.is_empty() { &standings[..1] } else { &standings[..] };
        tiers.iter().find_map(|standing| {
            let tier = members.iter().filter(|member| member.standing == *standing && member.opens_in(now).is_none());
            self.choose_of(roster, tier, &mut lease, now)
        })
    }

    fn choose_of<'s>(
        &self,
        roster: &Roster,
        members: impl Iterator<Item = &'s Seen<'s>> + Clone,
        lease: &mut Option<Slot>,
        now: Instant,
    ) -> Option<Bound> {
        let mut due = members.clone().filter(|member| member.is_due(now));
        if let Some(bound) = due.find_map(|due| take(due.entry, lease, true, now)) {
            return Some(bound);
        }
        let open = members.filter(|member| !member.is_due(now)).map(|member| member.entry);
        let mut open: SmallVec<[_; 8]> = open.filter(|entry| room(entry, lease.as_ref()) > 0).collect();
        while !open.is_empty() {
            let entry = open.remove(self.place(roster, &open, lease.as_ref(), now));
            // There is no slot if others were faster.
            if let Some(bound) = take(entry, lease, false, now) {
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

/// Takes a slot of a member: the one that is held, if it is one of it. One that is due for its probe gives it through its
/// breaker, which lets one pass.
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
