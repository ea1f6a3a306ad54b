use std::time::Duration;

use tokio::time::Instant;

/// In how many steps the window moves.
const BUCKETS: usize = 10;

/// What was counted over the last while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls that ended, well or badly.
    pub(crate) ended: u32,
    /// How many of them failed.
    pub(crate) failed: u32,
    /// Calls that began to answer.
    pub(crate) begun: u32,
    /// How many of them were slow.
    pub(crate) slow: u32,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.failed += other.failed;
        self.begun += other.begun;
        self.slow += other.slow;
    }

    const fn subtract(&mut self, other: Self) {
        self.ended -= other.ended;
        self.failed -= other.failed;
        self.begun -= other.begun;
        self.slow -= other.slow;
    }
}

/// Counts over a window that moves in ten steps: between nine and ten tenths of its length.
#[derive(Debug)]
pub(crate) struct Window {
    step: Duration,
    buckets: [Counts; BUCKETS],
    newest: usize,
    /// When the newest bucket began; `None` before the first count.
    since: Option<Instant>,
    sum: Counts,
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        let step = (length / BUCKETS as u32).max(Duration::from_micros(100));
        Self { step, buckets: [Counts::default(); BUCKETS], newest: 0, since: None, sum: Counts::default() }
    }

    /// Adds to what is counted at `now`, and returns what there is in the window then. Time that goes back stands still.
    pub(crate) fn count(&mut self, now: Instant, counts: Counts) -> Counts {
        self.move_to(now);
        self.buckets[self.newest].add(counts);
        self.sum.add(counts);
        self.sum
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { step: self.step, ..Self::new(Duration::ZERO) };
    }

    fn move_to(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if passed < self.step {
            return;
        }
        let steps = passed.as_nanos() / self.step.as_nanos();
        if steps >= BUCKETS as u128 {
            self.clear();
            self.since = Some(now);
            return;
        }
        for _ in 0..steps {
            self.newest = (self.newest + 1) % BUCKETS;
            self.sum.subtract(std::mem::take(&mut self.buckets[self.newest]));
        }
        self.since = Some(since + self.step * steps as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Counts = Counts { ended: 1, failed: 1, begun: 0, slow: 0 };
    const WELL: Counts = Counts { ended: 1, failed: 0, begun: 1, slow: 0 };

    fn totals(counts: Counts) -> (u32, u32) {
        (counts.ended, counts.failed)
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_step_by_step() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut window = Window::new(Duration::from_secs(10));
        assert_eq!(totals(window.count(at(0.0), FAILED)), (1, 1));
        assert_eq!(totals(window.count(at(0.9), WELL)), (2, 1));
        assert_eq!(totals(window.count(at(5.5), FAILED)), (3, 2));
        // The bucket of the first second leaves with the tenth step.
        assert_eq!(totals(window.count(at(9.9), Counts::default())), (3, 2));
        assert_eq!(totals(window.count(at(10.0), Counts::default())), (1, 1));
        assert_eq!(totals(window.count(at(14.9), WELL)), (2, 1));
        assert_eq!(totals(window.count(at(15.0), WELL)), (2, 0));
    }

    #[test]
    fn a_long_silence_leaves_nothing() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        window.count(start, FAILED);
        let later = start + Duration::from_secs(1_000_000);
        assert_eq!(totals(window.count(later, WELL)), (1, 0));
        assert_eq!(totals(window.count(later + Duration::from_millis(9_999), WELL)), (2, 0));
        assert_eq!(totals(window.count(later + Duration::from_secs(10), WELL)), (2, 0));
    }

    #[test]
    fn time_that_goes_back_stands_still() {
        let start = Instant::now() + Duration::from_secs(5);
        let mut window = Window::new(Duration::from_secs(10));
        window.count(start, FAILED);
        assert_eq!(totals(window.count(start - Duration::from_secs(4), FAILED)), (2, 2));
    }

    #[test]
    fn a_window_of_no_length_still_counts() {
        let start = Instant::now();
        let mut window = Window::new(Duration::ZERO);
        window.count(start, WELL);
        assert_eq!(window.count(start, WELL).begun, 2);
    }
}
