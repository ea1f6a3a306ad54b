use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::token::Usage;
use orchestrator_core::worker::{ModelWorker, Offer, Slots};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::breaker::{Breaker, Counts, Window};
use crate::pool::first_token::FirstToken;
use crate::pool::lock;
use crate::pool::member::Member;
use crate::timed::Timed;

/// How long it is kept how calls went.
const RECENT: Duration = Duration::from_secs(60);

/// What is kept of a member as long as calls of it live: also when it has left the pool.
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) serves: Vec<String>,
    pub(super) cost: f64,
    pub(super) worker: Breaker<Arc<dyn ModelWorker>>,
    pub(super) slots: Slots,
    /// Where it takes fewer calls than its server has slots.
    gate: Option<Slots>,
    /// Whether it takes no new calls, for ever or for now.
    closed: AtomicBool,
    in_flight: AtomicUsize,
    idle: Notify,
    record: Mutex<Record>,
}

/// How its calls went.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) first_token: FirstToken,
    /// Calls of the last minute that ended, and failures that were its fault.
    recent: Window,
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) usage: Usage,
    pub(super) last_error: Option<String>,
    /// How often in a row it was put out for doing worse than the others, and until when.
    pub(super) ejections: Option<(u32, Instant)>,
}

impl Seat {
    pub(super) fn new(id: u64, member: Member) -> Self {
        let limit = member.limit();
        let Member { name, worker, cost, serves, timeouts, breaker, .. } = member;
        let unlimited = || NonZeroUsize::new(Member::IN_FLIGHT).expect("it is above zero");
        let (slots, gate) = match worker.slots() {
            Some(slots) => (slots, limit.map(Slots::new)),
            None => (Slots::new(limit.unwrap_or_else(unlimited)), None),
        };
        let worker: Arc<dyn ModelWorker> = match timeouts {
            Some(timeouts) => Arc::new(Timed::new(worker, timeouts)),
            None => worker,
        };
        let worker = Breaker::known_as(name.clone(), worker, breaker, Some(slots));
        let slots = worker.slots().expect("it was given some");
        Self {
            id,
            name,
            serves,
            cost,
            worker,
            slots,
            gate,
            closed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            record: Mutex::new(Record::new()),
        }
    }

    /// Its slots, as many at once as it is given calls.
    pub(super) fn offer(&self) -> Offer {
        let offer = Offer::new(self.slots.clone());
        match &self.gate {
            Some(gate) => offer.through(gate.clone()),
            None => offer,
        }
    }

    pub(super) fn total(&self) -> usize {
        self.gate.as_ref().map_or(usize::MAX, Slots::total).min(self.slots.total())
    }

    /// Counts a call; `None` where it takes none any more.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Presence> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let presence = Presence(self.clone());
        // Behind the count: whoever closes it and then sees nobody inside may rely on it.
        (!self.closed.load(Ordering::SeqCst)).then_some(presence)
    }

    /// Takes no new calls, or takes them again.
    pub(super) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Waits until nobody is inside.
    pub(super) async fn idle(&self) {
        loop {
            let mut told = std::pin::pin!(self.idle.notified());
            told.as_mut().enable();
            if self.in_flight() == 0 {
                return;
            }
            told.await;
        }
    }

    pub(super) fn record<T>(&self, with: impl FnOnce(&mut Record) -> T) -> T {
        with(&mut lock(&self.record))
    }

    pub(super) fn first_token(&self, now: Instant) -> Option<Duration> {
        self.record(|record| record.first_token.get(now))
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
            calls: 0,
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

    /// Counts the end of a call.
    pub(super) fn ended(&mut self, fault: bool, now: Instant) {
        self.recent.count(now, Counts { ended: 1, failed: fault.into(), ..Counts::default() });
    }

    pub(super) fn spent(&mut self, usage: Usage) {
        self.usage.prompt_tokens += usage.prompt_tokens;
        self.usage.cached_tokens += usage.cached_tokens;
        self.usage.completion_tokens += usage.completion_tokens;
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
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
