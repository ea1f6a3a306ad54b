use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: usize = 6;

/// The time that one bucket counts.
const EACH: Duration = Duration::from_secs(10);

/// Calls of the last minute, and how many of them failed by the member's fault.
#[derive(Debug)]
pub(super) struct Recent {
    since: Instant,
    /// The number of the newest bucket; older ones lie behind it.
    newest: u64,
    buckets: [Tally; BUCKETS],
}

/// Calls and failures of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

impl Tally {
    pub(super) fn failure_rate(self) -> f64 {
        self.failures as f64 / self.calls.max(1) as f64
    }
}

impl Recent {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, newest: 0, buckets: Default::default() }
    }

    pub(super) fn call(&mut self, now: Instant) {
        self.bucket(now).calls += 1;
    }

    pub(super) fn failure(&mut self, now: Instant) {
        self.bucket(now).failures += 1;
    }

    pub(super) fn tally(&mut self, now: Instant) -> Tally {
        self.bucket(now);
        self.buckets.iter().fold(Tally::default(), |sum, bucket| Tally {
            calls: sum.calls + bucket.calls,
            failures: sum.failures + bucket.failures,
        })
    }

    /// The bucket of now; those whose time has passed are emptied.
    fn bucket(&mut self, now: Instant) -> &mut Tally {
        let number = now.saturating_duration_since(self.since).as_secs() / EACH.as_secs();
        let passed = number.saturating_sub(self.newest).min(BUCKETS as u64);
        for number in (number + 1 - passed)..=number {
            self.buckets[number as usize % BUCKETS] = Tally::default();
        }
        self.newest = self.newest.max(number);
        &mut self.buckets[self.newest as usize % BUCKETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_later_a_call_is_forgotten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut recent = Recent::new(start);
        recent.call(at(0));
        recent.call(at(15));
        recent.failure(at(15));
        assert_eq!(recent.tally(at(59)), Tally { calls: 2, failures: 1 });
        assert_eq!(recent.tally(at(60)), Tally { calls: 1, failures: 1 });
        recent.call(at(69));
        assert_eq!(recent.tally(at(70)), Tally { calls: 1, failures: 0 });
        assert_eq!(recent.tally(at(1_000)), Tally::default());
    }
}
