use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::admission::{Ledger, Supply};
use crate::queue::NEVER;
use crate::runtime::cell::lock;
use crate::runtime::clock::{Clock, later};

/// The ledger of one server's slots, for all pipelines and shards that take them, with a clock of its own.
pub(crate) struct Book {
    clock: Clock,
    /// When somebody will look whether the server takes requests again; 0 while it does.
    probe: AtomicU64,
    /// Told when that changes.
    looked: Notify,
    ledger: Mutex<Ledger>,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            clock: Clock::start(),
            probe: AtomicU64::new(0),
            looked: Notify::new(),
            ledger: Mutex::new(Ledger::new()),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Reads the clock.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The ticks of this clock for those of a pipeline's.
    pub(crate) fn ticks(&self, clock: Clock, ticks: u64) -> u64 {
        clock.instant(ticks).map_or(NEVER, |instant| self.clock.ticks(instant))
    }

    /// No slot is usable until the next probe.
    pub(crate) fn suspend(&self, probe: Duration) {
        self.probe.store(later(self.now(), probe), Ordering::Release);
        self.looked.notify_waiters();
    }

    /// All slots are usable.
    pub(crate) fn resume(&self) {
        self.probe.store(0, Ordering::Release);
        self.looked.notify_waiters();
    }

    /// Until when no slot is usable.
    pub(crate) fn suspended_until(&self) -> Option<Instant> {
        match self.probe.load(Ordering::Acquire) {
            0 => None,
            probe => self.clock.instant(probe),
        }
    }

    /// Waits until slots become usable, or are not any more: counted from this call, not from the first poll.
    pub(crate) fn looked(&self) -> Notified<'_> {
        self.looked.notified()
    }

    /// What a server with `total` slots can take at `now`.
    pub(crate) fn supply(&self, total: usize, now: u64) -> Supply {
        let probe = self.probe.load(Ordering::Acquire).saturating_sub(now);
        if probe == 0 {
            return Supply { slots: total, probe: 0.0 };
        }
        Supply { slots: 0, probe: Duration::from_nanos(probe).as_secs_f64() }
    }
}
