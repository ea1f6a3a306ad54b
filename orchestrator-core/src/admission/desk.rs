use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use smallvec::SmallVec;

use crate::admission::{Ask, Key, Ledger, Refusal, Size, Tokens};
use crate::queue::{NEVER, Turns};
use crate::request;
use crate::runtime::cell::Cell;
use crate::runtime::clock::Clock;
use crate::runtime::job::Job;
use crate::stage::Plan;
use crate::worker::{Slot, Slots};

/// The bookings of a request, one for each stage of its pipeline that takes slots.
pub(crate) type Bookings = SmallVec<[Booking; 1]>;

/// What a request has booked at one stage's slots.
#[derive(Debug)]
pub(crate) struct Booking {
    segment: u32,
    /// The number of its tenant in the ledger.
    tenant: u32,
    key: Key,
    state: AtomicU8,
    /// How long it will hold its slot at the least, in nanoseconds, as was thought when it left the queue.
    least: AtomicU64,
}

/// It lies in a queue, or is on its way there.
const BOOKED: u8 = 0;
/// It has left the queue and has no slot in its hands yet.
const POPPED: u8 = 1;
/// Its slot ends it.
const SERVED: u8 = 2;

/// What a request asks of the desk.
pub(crate) struct Wish<'a> {
    pub(crate) class: usize,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) weight: f64,
    pub(crate) size: &'a request::Size,
    pub(crate) clock: Clock,
    /// Ticks of that clock, as is the deadline.
    pub(crate) now: u64,
    pub(crate) deadline: u64,
}

/// Where a stage's requests are booked: the ledger of its slots, with the stage's own settings.
pub(crate) struct Desk {
    slots: Slots,
    segment: u32,
    max_wait: u64,
    aging: u64,
    expected: Option<f64>,
    /// How many of the stage's requests may have a slot at once, however many there are; `None` where nobody has said.
    concurrency: Option<usize>,
    /// How long requests take to get to the stage's queue, in nanoseconds: a mean that follows.
    before: AtomicU64,
}

impl Desk {
    pub(crate) fn new(slots: Slots, segment: usize, plan: &Plan, max_wait: u64, aging: u64) -> Self {
        Self {
            slots,
            segment: segment as u32,
            max_wait,
            aging,
            expected: plan.expected.map(|time| time.as_secs_f64()),
            concurrency: plan.limited.then_some(plan.concurrency.get()),
            before: AtomicU64::new(0),
        }
    }

    /// Books a request, or where the door `predicts`, says why it should not come in.
    pub(crate) fn book(&self, wish: &Wish<'_>, predicts: bool) -> Result<Booking, Refusal> {
        let book = self.slots.book();
        let now = book.ticks(wish.clock, wish.now);
        let ask = Ask {
            class: wish.class,
            // No name and an empty one are the same tenant.
            tenant: wish.tenant.filter(|name| !name.is_empty()),
            weight: wish.weight,
            size: size(wish.size),
            expected: self.expected,
            deadline: book.ticks(wish.clock, wish.deadline),
            max_wait: self.max_wait,
            aging: self.aging,
            before: self.before.load(Ordering::Relaxed),
        };
        let supply = self.slots.supply(self.concurrency.unwrap_or(usize::MAX), now);
        let mut ledger = book.lock();
        let key = if predicts { ledger.ask(&ask, now, supply)? } else { ledger.book(&ask, now) };
        Ok(Booking {
            segment: self.segment,
            tenant: ledger.tenant(key),
            key,
            state: AtomicU8::new(BOOKED),
            least: AtomicU64::new(0),
        })
    }

    /// Takes the ledger for a pop at `now` of the pipeline's clock.
    pub(crate) fn line(&self, clock: Clock, now: u64) -> Line<'_> {
        let book = self.slots.book();
        Line { now: book.ticks(clock, now), ledger: book.lock(), segment: self.segment }
    }

    /// Hands a slot to a request that has come out of the queue. What it took to get into the queue is noted.
    pub(crate) fn serve(&self, cell: &Cell, slot: &mut Slot) {
        if self.segment > 0 {
            let took = cell.since.load(Ordering::Relaxed).saturating_sub(cell.submitted);
            let mean = self.before.load(Ordering::Relaxed);
            // Only the segment's task writes.
            self.before.store(mean - mean / 8 + took / 8, Ordering::Relaxed);
        }
        if let Some(booking) = cell.booking(self.segment) {
            booking.state.store(SERVED, Ordering::Release);
            slot.serve(booking.key);
        }
    }

    /// How long a request that has come out of the queue will hold its slot at the least, in nanoseconds.
    pub(crate) fn least_service(&self, cell: &Cell) -> u64 {
        cell.booking(self.segment).map_or(0, |booking| booking.least.load(Ordering::Relaxed))
    }

    /// Books what the server counted of a request that is being served.
    pub(crate) fn measured(&self, cell: &Cell, usage: crate::token::Usage, first_token: u64) {
        let Some(booking) = cell.booking(self.segment) else { return };
        let book = self.slots.book();
        let first_token = book.ticks(cell.shared.clock, first_token);
        let mut ledger = book.lock();
        let Some(started) = ledger.started(booking.key) else { return };
        let tokens = Tokens {
            prompt: usage.prompt_tokens,
            cached: usage.cached_tokens,
            completion: usage.completion_tokens,
            first_token: Duration::from_nanos(first_token.saturating_sub(started)).as_secs_f64(),
        };
        ledger.measured(booking.key, tokens);
    }

    /// Takes what is booked out of the ledger, unless a slot will.
    pub(crate) fn let_go(&self, booking: &Booking) {
        let book = self.slots.book();
        match booking.state.load(Ordering::Acquire) {
            BOOKED => book.lock().abandon(booking.key),
            POPPED => book.lock().finish(booking.key, book.now(), false),
            _ => {}
        }
    }
}

impl Cell {
    pub(crate) fn booking(&self, segment: u32) -> Option<&Booking> {
        self.bookings.iter().find(|booking| booking.segment == segment)
    }

    /// The number of its tenant in the ledger of the stage that it is on its way to.
    pub(crate) fn flow(&self) -> u32 {
        let ahead = |booking: &&Booking| booking.state.load(Ordering::Relaxed) == BOOKED;
        self.bookings.iter().find(ahead).map_or(0, |booking| booking.tenant)
    }

    /// Takes out of the ledgers what no slot will take out.
    pub(crate) fn unbook(&self) {
        for booking in &self.bookings {
            let segment = self.shared.segments.get(booking.segment as usize);
            if let Some(desk) = segment.and_then(|segment| segment.desk.as_ref()) {
                desk.let_go(booking);
            }
        }
    }
}

/// Whose turn it is at a desk, during one pop.
pub(crate) struct Line<'a> {
    ledger: MutexGuard<'a, Ledger>,
    now: u64,
    segment: u32,
}

impl<T> Turns<Job<T>> for Line<'_> {
    fn next(&mut self, flows: &[u32]) -> usize {
        self.ledger.next(flows)
    }

    fn served(&mut self, job: &Job<T>) {
        if let Some(booking) = job.guard.cell().booking(self.segment) {
            booking.state.store(POPPED, Ordering::Release);
            if job.guard.cell().deadline != NEVER {
                let least = Duration::try_from_secs_f64(self.ledger.least_service(booking.key));
                booking.least.store(least.map_or(NEVER, |time| time.as_nanos() as u64), Ordering::Relaxed);
            }
            self.ledger.start(booking.key, self.now);
        }
    }
}

fn size(size: &request::Size) -> Size {
    match size {
        request::Size::Time(time) if time.is_zero() => Size::Unknown,
        request::Size::Unknown => Size::Unknown,
        request::Size::Time(time) => Size::Time(time.as_secs_f64()),
        request::Size::Tokens { prompt, limit, model } => {
            let hash = |model: &str| BuildHasherDefault::<DefaultHasher>::default().hash_one(model);
            Size::Tokens { prompt: *prompt, limit: *limit, model: model.as_deref().map_or(0, hash) }
        }
    }
}
