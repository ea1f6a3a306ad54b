use super::backlog::{Backlog, Group};
use super::estimate::{Estimates, Kind};
use super::runs::Runs;
use super::tenants::Tenants;
use crate::queue::NEVER;

/// Nanoseconds in a second.
pub(super) const SECOND: f64 = 1e9;

/// What a prediction looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) backlog: &'a Backlog,
    pub(super) tenants: &'a Tenants,
    pub(super) runs: &'a Runs,
    pub(super) estimates: &'a Estimates,
    /// Work done per time: slots times their pace.
    pub(super) rate: f64,
    pub(super) now: u64,
}

/// The request that a wait is predicted for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) class: usize,
    /// The number of its tenant, if the tenant has one.
    pub(super) tenant: Option<u32>,
    pub(super) kind: Kind,
    pub(super) counter: f64,
    pub(super) weight: f64,
    /// Slot-nanoseconds.
    pub(super) work: u64,
    /// Nanoseconds until it comes to the queue.
    pub(super) before: u64,
    /// The step in which it becomes overdue, or [`NEVER`].
    pub(super) due: u64,
}

impl View<'_> {
    /// Nanoseconds that `claim` will wait in the queue, where no other request counts for more than `most`.
    ///
    /// Only comparing it with a time limit makes sense where `most` is that limit: a request that has a slot for longer than
    /// this has its one slot, and takes nothing from the others.
    pub(super) fn wait(&self, claim: &Claim, most: u64) -> f64 {
        self.wait_behind(claim, most, self.running(most))
    }

    /// What those in slots still need, no one for more than `most`, in slot-nanoseconds.
    pub(super) fn running(&self, most: u64) -> f64 {
        self.runs.residual(self.estimates, self.now, most)
    }

    /// The same as [`wait`](Self::wait) for whoever has asked what those in slots need.
    pub(super) fn wait_behind(&self, claim: &Claim, most: u64, running: f64) -> f64 {
        let running = running / self.rate;
        let turn = self.turn(claim, most, running);
        let turn = turn + self.overtaking(claim, most, turn);
        let wait = if claim.due == NEVER { turn } else { turn.min(self.aged(claim, most, running)) };
        (wait - claim.before as f64).max(0.0)
    }

    /// How many could get a slot before `claim`.
    pub(super) fn count(&self, claim: &Claim) -> u64 {
        let lower = self.backlog.overdue().until(self.now.saturating_add(claim.before));
        let overdue = lower.filter(|(_, class, _)| *class > claim.class).map(|(_, _, chunk)| chunk.count);
        self.runs.len() as u64 + self.backlog.count_up_to(claim.class) + overdue.sum::<u64>()
    }

    /// When it is its turn by class and tenant, in nanoseconds from now.
    ///
    /// What is booked is served as it comes to the queue: slots that run dry before that do nothing in advance.
    fn turn(&self, claim: &Claim, most: u64, running: f64) -> f64 {
        let ahead = self.ahead(claim, most);
        let coming = || self.backlog.coming().until(NEVER).filter(|(_, class, _)| *class <= claim.class);
        let to_come: u64 = coming().map(|(_, _, chunk)| chunk.work).sum();
        let part = if to_come == 0 { 0.0 } else { ahead / self.backlog.work_up_to(claim.class) as f64 };
        let here = running + (ahead - to_come as f64 * part) / self.rate;
        coming().fold(here, |time, (step, _, chunk)| {
            let ready = step.saturating_sub(self.now).min(claim.before) as f64;
            time.max(ready) + chunk.work as f64 * part / self.rate
        })
    }

    /// The work that is served before it by class and tenant.
    fn ahead(&self, claim: &Claim, most: u64) -> f64 {
        let most = started(most);
        let higher: u64 = (0..claim.class).map(|c| self.backlog.class(c).capped(most)).sum();
        let booked = claim.tenant.and_then(|t| self.backlog.of_tenant(claim.class, t));
        let own = booked.map_or(0, |p| p.capped(most));
        let reach = (booked.map_or(0, |p| p.sum()) + claim.work) as f64 / SECOND / claim.weight + claim.counter;
        let others = self.backlog.groups(claim.class).iter().filter(|g| Some(g.tenant) != claim.tenant);
        let others = others.map(|g| self.before_reach(g, reach, most)).sum::<f64>();
        ((higher + own) as f64 + others) * self.shortened(claim, most as f64)
    }

    /// How much less of their work requests do within `most` than their mean says, since some are short, where sizes are not
    /// told: then all have the same estimate, and only how these turned out tells them apart.
    fn shortened(&self, claim: &Claim, most: f64) -> f64 {
        if claim.kind != Kind::Unknown {
            return 1.0;
        }
        let work = claim.work as f64;
        self.estimates.left(claim.kind, work, 0.0, most) / work.min(most)
    }

    /// The work of another tenant that is served until all counters are at `reach`.
    fn before_reach(&self, group: &Group, reach: f64, most: u64) -> f64 {
        let (counter, weight) = self.tenants.share(group.tenant);
        let limit = weight * (reach - counter) * SECOND;
        if limit <= 0.0 {
            return 0.0;
        }
        let sum = group.pile.sum() as f64;
        let capped = group.pile.capped(most) as f64;
        if limit < sum { capped * (limit / sum) } else { capped }
    }

    /// The time for those of lower classes that become overdue, and so leave first, while it waits until `turn`.
    fn overtaking(&self, claim: &Claim, most: u64, turn: f64) -> f64 {
        let last = self.now.saturating_add(turn.max(claim.before as f64) as u64);
        let lower = self.backlog.overdue().until(last).filter(|(_, class, _)| *class > claim.class);
        lower.map(|(_, _, chunk)| chunk.capped(started(most)) as f64).sum::<f64>() / self.rate
    }

    /// When it is served at the latest since it is overdue, and those that are before it: in nanoseconds from now.
    ///
    /// They count twice, since behind each of them the queue serves one by class and tenant, and that may be as long.
    fn aged(&self, claim: &Claim, most: u64, running: f64) -> f64 {
        let after = |step: u64| step.saturating_sub(self.now) as f64;
        let before = self.backlog.overdue().until(claim.due);
        let served = before.fold(running, |time, (step, _, chunk)| {
            time.max(after(step)) + 2.0 * chunk.capped(started(most)) as f64 / self.rate
        });
        served.max(after(claim.due))
    }
}

/// What a request that is not running yet can do of its work within `most`: it starts somewhere in that time.
///
/// Half of it would be right if slots became free at an even pace, and lets in so much that one in nine waits for too long
/// (simulated with short and long requests at twice the capacity); two thirds lose no goodput by that, and it is one in
/// thirteen.
const fn started(most: u64) -> u64 {
    most - most / 3
}
