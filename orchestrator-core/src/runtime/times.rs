use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Waiting and running time of one stage, in one word: units of 1,024 ns plus one, 0 where there is none.
///
/// Times above 73 minutes stand as that.
#[derive(Default)]
pub(crate) struct Times(AtomicU64);

impl Times {
    fn pack(nanos: u64) -> u64 {
        (nanos >> 10).min(u64::from(u32::MAX) - 1) + 1
    }

    fn unpack(word: u64) -> Option<Duration> {
        (word & u64::from(u32::MAX)).checked_sub(1).map(|units| Duration::from_nanos(units << 10))
    }

    /// Notes the time in the queue; nobody else writes at the time.
    pub(crate) fn waited(&self, nanos: u64) {
        self.0.store(Self::pack(nanos) << 32, Ordering::Relaxed);
    }

    /// Notes the time in `run`; nobody else writes at the time.
    pub(crate) fn ran(&self, nanos: u64) {
        let waited = self.0.load(Ordering::Relaxed) >> 32 << 32;
        self.0.store(waited | Self::pack(nanos), Ordering::Relaxed);
    }

    /// Returns the time in the queue and the time in `run`.
    pub(crate) fn read(&self) -> (Option<Duration>, Option<Duration>) {
        let word = self.0.load(Ordering::Relaxed);
        (Self::unpack(word >> 32), Self::unpack(word))
    }
}
