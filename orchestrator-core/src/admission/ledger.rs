use super::ask::{Ask, Refusal, Supply, Tokens};
use super::backlog::{Backlog, Item};
use super::bookings::{Booking, Bookings, Key};
use super::estimate::{Estimates, Lesson};
use super::pace::{Ended, Pace};
use super::predict::{Claim, SECOND, View};
use super::runs::{Run, Runs};
use super::tenants::Tenants;
use super::timeline::Timeline;
use crate::error::RefuseReason;
use crate::queue::{LANES, NEVER};

/// Seconds that a request is thought to take where nobody said anything.
const EXPECTED: f64 = 1.0;
/// No request counts for more work than this, 28 hours, so that sums cannot overflow.
const MOST_WORK: f64 = 1e14;

/// What is known of the work in front of one server's slots; see the [module](super).
///
/// A request is booked at the door, [started](Self::start) when it leaves the queue for a slot and [finished](Self::finish)
/// when that is free again; or [abandoned](Self::abandon) in between. Keys of requests that have ended do nothing. Ticks must
/// come from one clock; one that is a little earlier than the last does no harm.
#[derive(Debug)]
pub(crate) struct Ledger {
    bookings: Bookings,
    backlog: Backlog,
    runs: Runs,
    tenants: Tenants,
    estimates: Estimates,
    pace: Pace,
    /// State of the generator that spreads retries.
    spread: u64,
}

/// A request that is judged.
struct Judged {
    claim: Claim,
    /// Slot-nanoseconds.
    work: u64,
    /// The longest wait that it can afford.
    horizon: u64,
    /// Whether it cannot make its deadline.
    too_late: bool,
}

impl Ledger {
    /// A ledger that has learned nothing.
    pub(crate) fn new() -> Self {
        Self {
            bookings: Bookings::default(),
            backlog: Backlog::default(),
            runs: Runs::default(),
            tenants: Tenants::new(),
            estimates: Estimates::new(),
            pace: Pace::new(),
            spread: 0,
        }
    }

    /// Books a request if it will get a slot in time.
    ///
    /// # Errors
    ///
    /// Says why it will not. Nothing is booked then.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>, now: u64, supply: Supply) -> Result<Key, Refusal> {
        if supply.slots == 0 {
            let retry_after = self.spread(supply.probe);
            return Err(Refusal { reason: RefuseReason::Unavailable, wait: supply.probe, retry_after });
        }
        self.pace.supply(supply.slots, self.runs.len(), now);
        self.backlog.settle(now);
        let judged = self.judge(ask, now);
        // A server that does nothing is always asked: that costs nobody anything, and tells what requests take now.
        let idle = self.bookings.len() == 0;
        if judged.too_late && !idle {
            return Err(self.refuse(RefuseReason::Deadline, &judged, now));
        }
        if idle || self.fits(&judged, now) {
            Ok(self.insert(ask, judged.work, now))
        } else {
            Err(self.refuse(RefuseReason::Overloaded, &judged, now))
        }
    }

    /// Books a request without asking, so that the turns of tenants and the predictions for others account for it.
    pub(crate) fn book(&mut self, ask: &Ask<'_>, now: u64) -> Key {
        self.backlog.settle(now);
        let work = self.work(ask);
        self.insert(ask, work, now)
    }

    /// The number of a booking's tenant, the same as long as that has anything booked or running. 0 for those without a tenant,
    /// and for a booking that has ended.
    pub(crate) fn tenant(&self, key: Key) -> u32 {
        self.bookings.get(key).map_or(0, |b| b.item.tenant)
    }

    /// The index of the tenant whose turn it is, the first of those that are alike; 0 where there is none.
    pub(crate) fn next(&self, tenants: &[u32]) -> usize {
        self.tenants.next(tenants)
    }

    /// A booked request gets its slot; its tenant is charged what it is thought to need.
    pub(crate) fn start(&mut self, key: Key, now: u64) {
        let mark = self.pace.clock(now);
        let Some(booking) = self.bookings.get_mut(key).filter(|b| b.run.is_none()) else { return };
        let item = booking.item;
        booking.run = Some(self.runs.push(Run { key, started: now, work: item.work, kind: booking.size.into(), mark }));
        self.backlog.remove(item);
        self.tenants.start(item.tenant, seconds(item.work));
        self.pace.running(self.runs.len(), now);
    }

    /// Notes what the server said of a running request, before it is [finished](Self::finish).
    pub(crate) fn measured(&mut self, key: Key, tokens: Tokens) {
        if let Some(booking) = self.bookings.get_mut(key) {
            booking.measured = Some(tokens);
        }
    }

    /// When a running request got its slot.
    pub(crate) fn started(&self, key: Key) -> Option<u64> {
        self.bookings.get(key)?.run.map(|place| self.runs.get(place).started)
    }

    /// The slot of a request is free again: charges its tenant for what it really was, and learns what it took if it is
    /// `complete`, or was [measured](Self::measured).
    ///
    /// One that never started is unbooked.
    pub(crate) fn finish(&mut self, key: Key, now: u64, complete: bool) {
        let Some(booking) = self.bookings.remove(key) else { return };
        match booking.run {
            Some(place) => self.end_run(&booking, place, now, complete || booking.measured.is_some()),
            None => self.unbook(booking.item),
        }
    }

    /// Gives up a request that waits. One that runs is still to be [finished](Self::finish).
    pub(crate) fn abandon(&mut self, key: Key) {
        let Some(booking) = self.bookings.get(key).filter(|b| b.run.is_none()) else { return };
        let item = booking.item;
        self.bookings.remove(key);
        self.unbook(item);
    }

    /// The seconds that a request needs its slot for at the least: nine in ten like it took more. 0 while that is not known,
    /// and where nobody else is there.
    pub(crate) fn least_service(&self, key: Key) -> f64 {
        if self.bookings.len() <= 1 {
            return 0.0;
        }
        self.bookings.get(key).map_or(0.0, |b| seconds(b.item.work) * self.estimates.least(b.size))
    }

    fn work(&mut self, ask: &Ask<'_>) -> u64 {
        let estimate = self.estimates.estimate(ask.size, ask.expected.unwrap_or(EXPECTED));
        (estimate * SECOND).clamp(1.0, MOST_WORK) as u64
    }

    fn judge(&mut self, ask: &Ask<'_>, now: u64) -> Judged {
        let work = self.work(ask);
        let tenant = self.tenants.find(ask.tenant);
        let claim = Claim {
            class: lane(ask),
            tenant,
            kind: ask.size.into(),
            counter: self.tenants.counter_of(tenant),
            weight: ask.weight,
            work,
            before: ask.before,
            due: due(ask, now),
        };
        let left = time_left(ask, work, now);
        Judged { claim, work, horizon: ask.max_wait.min(left), too_late: left == 0 }
    }

    fn fits(&self, judged: &Judged, now: u64) -> bool {
        let view = self.view(now);
        if view.count(&judged.claim) < self.pace.slots() as u64 {
            return true;
        }
        let most = (judged.horizon.saturating_add(judged.claim.before) as f64 * self.pace.factor()) as u64;
        let (running, limit) = (view.running(most), judged.horizon as f64);
        let all = self.backlog.work_up_to(LANES - 1) as f64 + running;
        all < view.rate * limit || view.wait_behind(&judged.claim, most, running) < limit
    }

    fn refuse(&mut self, reason: RefuseReason, judged: &Judged, now: u64) -> Refusal {
        let wait = self.view(now).wait(&judged.claim, NEVER) / SECOND;
        let until = (wait - seconds(judged.horizon)).max(seconds(judged.work) / self.pace.slots() as f64);
        Refusal { reason, wait, retry_after: self.spread(until) }
    }

    fn view(&self, now: u64) -> View<'_> {
        let rate = self.pace.slots() as f64 * self.pace.factor();
        View { backlog: &self.backlog, tenants: &self.tenants, runs: &self.runs, estimates: &self.estimates, rate, now }
    }

    fn insert(&mut self, ask: &Ask<'_>, work: u64, now: u64) -> Key {
        let tenant = self.tenants.enter(ask.tenant, ask.weight);
        let ready = Timeline::step(now, ask.before);
        let item = Item { class: lane(ask), tenant, work, ready, due: due(ask, now) };
        self.backlog.add(item);
        let expected = ask.expected.unwrap_or(EXPECTED);
        self.bookings.insert(Booking { item, size: ask.size, expected, run: None, measured: None })
    }

    fn end_run(&mut self, booking: &Booking, place: u32, now: u64, teaches: bool) {
        let (run, moved) = self.runs.remove(place);
        if let Some(moved) = moved.and_then(|key| self.bookings.get_mut(key)) {
            moved.run = Some(place);
        }
        let age = now.saturating_sub(run.started);
        let work = if teaches { run.work } else { run.work.min(age) };
        self.pace.ended(Ended { mark: run.mark, age, work }, now);
        self.pace.running(self.runs.len(), now);
        let cost = if teaches { self.learn(booking, seconds(age)) } else { seconds(age) };
        self.tenants.charge(booking.item.tenant, cost - seconds(run.work));
        self.tenants.leave(booking.item.tenant);
    }

    fn unbook(&mut self, item: Item) {
        self.backlog.remove(item);
        self.tenants.abandon(item.tenant);
    }

    /// Learns from a run of `actual` seconds, and returns what it is to be charged with.
    fn learn(&mut self, booking: &Booking, actual: f64) -> f64 {
        let Booking { size, expected, measured: tokens, .. } = *booking;
        self.estimates.learn(&Lesson { size, expected, estimate: seconds(booking.item.work), actual, tokens });
        tokens.and_then(|t| self.estimates.cost(size, t)).unwrap_or(actual)
    }

    /// `seconds`, by up to a fifth more or less.
    ///
    /// The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a counter and a mixing function.
    fn spread(&mut self, seconds: f64) -> f64 {
        self.spread = self.spread.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.spread ^ (self.spread >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let part = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        seconds * (0.8 + 0.4 * part)
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / SECOND
}

fn lane(ask: &Ask<'_>) -> usize {
    ask.class.min(LANES - 1)
}

/// The step in which a request will be overdue; the highest class never is.
fn due(ask: &Ask<'_>, now: u64) -> u64 {
    let class = lane(ask) as u64;
    if class == 0 || ask.aging == NEVER {
        return NEVER;
    }
    Timeline::step(now.saturating_add(ask.before), ask.aging.saturating_mul(class))
}

/// The wait for a slot that its deadline leaves to a request, 0 where it leaves none.
fn time_left(ask: &Ask<'_>, work: u64, now: u64) -> u64 {
    if ask.deadline == NEVER {
        return NEVER;
    }
    ask.deadline.saturating_sub(now).saturating_sub(ask.before).saturating_sub(work)
}

#[cfg(test)]
impl Ledger {
    /// The seconds that a request would wait as things are.
    pub(super) fn predicted(&mut self, ask: &Ask<'_>, now: u64) -> f64 {
        self.backlog.settle(now);
        let judged = self.judge(ask, now);
        self.view(now).wait(&judged.claim, NEVER) / SECOND
    }

    /// The seconds that a request would be thought to take.
    pub(super) fn estimated(&mut self, ask: &Ask<'_>) -> f64 {
        seconds(self.work(ask))
    }

    /// The virtual counter of a booking's tenant.
    pub(super) fn counter(&self, key: Key) -> f64 {
        self.tenants.share(self.tenant(key)).0
    }

    /// Whether all sums are those of what is booked and running.
    pub(super) fn is_sound(&self) -> bool {
        let waiting = || self.bookings.iter().filter(|b| b.run.is_none()).map(|b| b.item);
        let running = self.bookings.iter().filter_map(|b| b.run).collect::<std::collections::BTreeSet<_>>();
        self.backlog.is_sum_of(waiting())
            && running.len() == self.runs.len()
            && running.last().is_none_or(|last| (*last as usize) < self.runs.len())
            && self.tenants.counts() == (waiting().count() as u64, self.bookings.iter().count() as u64)
    }

    /// Whether nothing is left but what was learned.
    pub(super) fn is_blank(&self) -> bool {
        self.backlog.is_sum_of(std::iter::empty()) && self.runs.len() == 0 && self.tenants.is_blank()
    }
}
