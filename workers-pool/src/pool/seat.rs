use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::error::WorkerError;
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::token::Usage;
use orchestrator_core::worker::{ModelWorker, Offer, Slot, Slots, Timeouts};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::breaker::{Breaker, Counts, Window};
use crate::consequence::Consequence;
use crate::pool::first_token::FirstToken;
use crate::pool::lock;
use crate::pool::member::Member;
use crate::timed::Timed;

/// How long it is kept how calls went.
const RECENT: Duration = Duration::from_secs(60);

/// The id of the next member of any pool: attempts name the members of all pools that they went through.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// What is kept of a member as long as calls of it live: also when it has left the pool.
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) serves: Vec<String>,
    pub(super) cost: f64,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
    pub(super) worker: Breaker<Timed<Arc<dyn ModelWorker>>>,
    /// Those of its breaker.
    slots: Slots,
    offer: Offer,
    behind: Offer,
    /// Whether it takes no new calls, for ever or for now.
    closed: AtomicBool,
    /// Whether it said last that it takes nothing.
    unavailable: AtomicBool,
    unavailable_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
    in_flight: AtomicUsize,
    idle: Notify,
    record: Mutex<Record>,
}

/// How its calls went.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) first_token: FirstToken,
    /// Calls of the last minute that began to answer or failed before, and failures that were its fault.
    recent: Window,
    pub(super) failures: u64,
    pub(super) usage: Usage,
    pub(super) last_error: Option<String>,
    /// How often in a row it was put out for doing worse than the others, and until when.
    pub(super) ejections: Option<(u32, Instant)>,
}

impl Seat {
    pub(super) fn new(member: Member) -> Self {
        let limit = member.limit();
        let Member { name, worker, cost, serves, timeouts, breaker, embedder, .. } = member;
        let unlimited = || NonZeroUsize::new(Member::IN_FLIGHT).expect("it is above zero");
        let (slots, gate) = match worker.slots() {
            Some(slots) => (slots, limit.map(Slots::new)),
            None => (Slots::new(limit.unwrap_or_else(unlimited)), None),
        };
        let worker = Timed::new(worker, timeouts.unwrap_or(Timeouts::none()));
        let through = |offer: Offer| match &gate {
            Some(gate) => offer.through(gate.clone()),
            None => offer,
        };
        let behind = through(Offer::new(slots.clone()));
        let worker = Breaker::known_as(name.clone(), worker, breaker, Some(slots));
        let slots = worker.slots().expect("it was given some");
        let offer = through(Offer::new(slots.clone()));
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name,
            serves,
            cost,
            embedder,
            worker,
            slots,
            offer,
            behind,
            calls: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            unavailable: AtomicBool::new(false),
            unavailable_until: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            record: Mutex::new(Record::new()),
        }
    }

    /// Its slots as its breaker offers them, as many at once as it is given calls.
    pub(super) const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Its server's slots as they are, for calls of which it is known that the breaker lets them through.
    pub(super) const fn behind(&self) -> &Offer {
        &self.behind
    }

    /// Returns whether a slot is one that it offers.
    pub(super) fn offered(&self, slot: &Slot) -> bool {
        slot.is_of(&self.slots)
    }

    /// How many calls it could work on.
    pub(super) fn total(&self) -> usize {
        self.behind.total()
    }

    /// Counts a call; `None` where it takes none any more.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Presence> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let presence = Presence(self.clone());
        // Behind the count: whoever closes it and then sees nobody inside may rely on it.
        (!self.closed.load(Ordering::SeqCst)).then_some(presence)
    }

    /// Takes no new calls, or takes them again; then nobody waits any longer that it is idle.
    pub(super) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
        if !closed {
            self.idle.notify_waiters();
        }
    }

    /// Has it left alone until then, as it takes nothing: its slots are suspended.
    pub(super) fn leave_alone(&self, until: Instant) {
        *lock(&self.unavailable_until) = Some(until);
        self.slots.suspend(until.saturating_duration_since(Instant::now()));
        self.unavailable.store(true, Ordering::Release);
    }

    /// Has it no longer left alone; returns whether it had said that it takes nothing.
    pub(super) fn is_back(&self) -> bool {
        let was_unavailable = self.unavailable.swap(false, Ordering::AcqRel);
        if was_unavailable {
            self.slots.resume();
        }
        was_unavailable
    }

    /// Until when it is left alone since it said that it takes nothing.
    pub(super) fn unavailable_until(&self, now: Instant) -> Option<Instant> {
        let is_unavailable = self.unavailable.load(Ordering::Acquire);
        let until = is_unavailable.then(|| *lock(&self.unavailable_until)).flatten();
        until.filter(|until| *until > now)
    }

    /// Counts a call.
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was called.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Waits until nobody is inside, or it takes new calls again; returns whether nobody is.
    pub(super) async fn idle(&self) -> bool {
        loop {
            let mut told = std::pin::pin!(self.idle.notified());
            told.as_mut().enable();
            if self.in_flight() == 0 {
                return true;
            }
            if !self.closed.load(Ordering::SeqCst) {
                return false;
            }
            told.await;
        }
    }

    pub(super) fn record<T>(&self, with: impl FnOnce(&mut Record) -> T) -> T {
        with(&mut lock(&self.record))
    }

    /// What is held against it, and of how many calls; of the last minute.
    pub(super) fn recent(&self, now: Instant) -> Counts {
        self.record(|record| record.recent.count(now, Counts::default()))
    }
}

impl Record {
    fn new() -> Self {
        Self {
            first_token: FirstToken::default(),
            recent: Window::new(RECENT),
            failures: 0,
            usage: Usage::default(),
            last_error: None,
            ejections: None,
        }
    }

    /// Forgets how its calls went lately, so that it is judged by those that come.
    pub(super) fn forgive(&mut self) {
        self.first_token = FirstToken::default();
        self.recent.clear();
    }

    /// Counts the first sign of an answer.
    pub(super) fn begun(&mut self, took: Duration, now: Instant) {
        self.first_token.record(took, now);
        self.recent.count(now, Counts { ended: 1, ..Counts::default() });
    }

    /// Counts a failure; `silent_for` so long, where a time limit passed before the first sign of an answer.
    pub(super) fn failed(&mut self, error: &WorkerError, begun: bool, silent_for: Option<Duration>, now: Instant) {
        self.failures += 1;
        self.last_error = Some(error.message().to_owned());
        let fault = Consequence::of(error.kind()).fault;
        self.recent.count(now, Counts { ended: (!begun).into(), failed: fault.into(), ..Counts::default() });
        if let Some(took) = silent_for {
            self.first_token.record(took, now);
        }
    }

    pub(super) fn spent(&mut self, usage: Usage) {
        let sum = &mut self.usage;
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
        sum.cached_tokens = sum.cached_tokens.saturating_add(usage.cached_tokens);
        sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
    }
}

/// A call that a member works on; it is over when this is dropped.
pub(super) struct Presence(Arc<Seat>);

impl Presence {
    pub(super) fn seat(&self) -> &Seat {
        &self.0
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // Whoever waits for this has closed it before.
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.closed.load(Ordering::SeqCst) {
            self.0.idle.notify_waiters();
        }
    }
}
