use std::time::Duration;

use tokio::time::Instant;

/// In this time a measurement loses all but 37 % of its weight.
const MEMORY: Duration = Duration::from_secs(10);

/// A wait that was given up sooner tells nothing of a member that has never answered.
const LONG: Duration = Duration::from_secs(1);

/// How long first tokens take: a mean that rises to a slow one at once and comes down slowly, with time.
///
/// Peak EWMA, as Finagle's balancer measures latency. It also falls while nothing is measured, so that a member that was slow
/// once, and is asked no more, is tried again.
#[derive(Debug, Default)]
pub(super) struct FirstToken {
    mean: Option<(f64, Instant)>,
}

impl FirstToken {
    pub(super) fn record(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let mean = self.mean.map_or(took, |(mean, at)| {
            let kept = kept(at, now);
            if took < mean * kept { mean.mul_add(kept, took * (1.0 - kept)) } else { took }
        });
        self.mean = Some((mean, now));
    }

    /// Takes note that one took at least so long: nobody waited for its end.
    pub(super) fn at_least(&mut self, took: Duration, now: Instant) {
        if self.get(now).map_or(took >= LONG, |mean| mean < took) {
            self.record(took, now);
        }
    }

    pub(super) fn get(&self, now: Instant) -> Option<Duration> {
        self.mean.map(|(mean, at)| Duration::from_secs_f64(mean * kept(at, now)))
    }

    /// The mean as it was when it was last measured, whenever that was.
    pub(super) fn measured(&self) -> Option<Duration> {
        self.mean.map(|(mean, _)| Duration::from_secs_f64(mean))
    }

    /// The mean as it was when it was last measured, if that is not long ago.
    pub(super) fn measured_within(&self, time: Duration, now: Instant) -> Option<Duration> {
        let (_, at) = self.mean?;
        self.measured().filter(|_| now.saturating_duration_since(at) <= time)
    }
}

/// What is left of the weight of what was known at an instant.
fn kept(at: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(at).as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn it_rises_at_once_and_falls_with_time() {
        let (start, mut mean) = (Instant::now(), FirstToken::default());
        assert_eq!(mean.get(start), None);
        mean.record(ms(100), start);
        mean.record(ms(1_000), start + ms(10));
        assert_eq!(mean.get(start + ms(10)), Some(ms(1_000)));
        mean.record(ms(100), start + ms(10_010));
        let fallen = mean.get(start + ms(10_010)).expect("measured").as_millis();
        assert_eq!(fallen, 431, "1000 / e + 100 (1 - 1 / e)");
        let idle = mean.get(start + ms(20_010)).expect("measured").as_millis();
        assert_eq!(idle, 158, "431 / e");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_measured_stays_what_it_was() {
        let (start, mut mean) = (Instant::now(), FirstToken::default());
        assert_eq!((mean.measured(), mean.measured_within(ms(1_000), start)), (None, None));
        mean.record(ms(100), start);
        assert_eq!(mean.measured(), Some(ms(100)));
        assert_eq!(mean.measured_within(ms(1_000), start + ms(1_000)), Some(ms(100)));
        assert_eq!(mean.measured_within(ms(1_000), start + ms(1_001)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_given_up_only_raises_it() {
        let (start, mut mean) = (Instant::now(), FirstToken::default());
        mean.at_least(ms(50), start);
        assert_eq!(mean.get(start), None, "that says little of one that has never answered");
        mean.record(ms(100), start);
        mean.at_least(ms(50), start);
        assert_eq!(mean.get(start), Some(ms(100)));
        mean.at_least(ms(300), start);
        assert_eq!(mean.get(start), Some(ms(300)));
        let mut silent = FirstToken::default();
        silent.at_least(ms(1_000), start);
        assert_eq!(silent.get(start), Some(ms(1_000)));
    }
}
