use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Waiting and running time of one stage.
#[derive(Default)]
pub(crate) struct Times {
    waited: AtomicU32,
    ran: AtomicU32,
}

/// A time as it is kept: units of 1,024 ns plus one, so that 0 says that there is none.
///
/// Times above 73 minutes stand as that.
#[derive(Clone, Copy)]
pub(crate) struct Units(u32);

impl Units {
    /// Makes it of nanoseconds.
    pub(crate) fn of(nanos: u64) -> Self {
        Self((nanos >> 10).min(u64::from(u32::MAX) - 1) as u32 + 1)
    }

    fn duration(self) -> Option<Duration> {
        self.0.checked_sub(1).map(|units| Duration::from_nanos(u64::from(units) << 10))
    }
}

impl Times {
    /// Notes the time in the queue, in nanoseconds.
    pub(crate) fn waited(&self, nanos: u64) {
        self.waited.store(Units::of(nanos).0, Ordering::Relaxed);
    }

    /// Notes the time in `run`.
    pub(crate) fn ran(&self, time: Units) {
        self.ran.store(time.0, Ordering::Relaxed);
    }

    /// Returns the time in the queue and the time in `run`.
    pub(crate) fn read(&self) -> (Option<Duration>, Option<Duration>) {
        let read = |time: &AtomicU32| Units(time.load(Ordering::Relaxed)).duration();
        (read(&self.waited), read(&self.ran))
    }
}
