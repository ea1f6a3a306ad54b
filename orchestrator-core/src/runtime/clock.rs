use std::time::Duration;

use tokio::time::Instant;

use crate::queue::NEVER;

/// Turns instants into ticks, nanoseconds since the pipeline was built, so that they fit into an atomic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        // A moment before, so that no reading is 0, which means "not yet" where readings are kept.
        Self { epoch: now.checked_sub(Duration::from_nanos(1)).unwrap_or(now) }
    }

    /// Reads the clock.
    pub(crate) fn now(self) -> u64 {
        self.ticks(Instant::now())
    }

    /// The ticks of an instant; 0 where it lies before the epoch.
    pub(crate) fn ticks(self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// The instant of some ticks; `None` for [`NEVER`].
    pub(crate) fn instant(self, ticks: u64) -> Option<Instant> {
        if ticks == NEVER {
            return None;
        }
        self.epoch.checked_add(Duration::from_nanos(ticks))
    }
}

/// `ticks` later by `duration`, at most [`NEVER`].
pub(crate) fn later(ticks: u64, duration: Duration) -> u64 {
    ticks.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(NEVER))
}
