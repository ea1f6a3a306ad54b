use std::time::Duration;

/// When a [`Breaker`](crate::Breaker) opens, and for how long.
///
/// | setting | unless set |
/// |---|---|
/// | share of failed calls at which it opens | 0.5 |
/// | time to the first event above which a call is slow | none: no call is |
/// | share of slow calls at which it opens | 0.5 |
/// | window over which calls are counted | 10 s |
/// | calls in the window before shares mean anything | 5 |
/// | failed calls in a row at which it opens, however few there are in the window | 5 |
/// | pause before the first probe | 1 s, twice as long after each probe that fails |
/// | longest pause | 15 s |
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct BreakerConfig {
    pub(super) failure_rate: f64,
    pub(super) slow_call: Option<Duration>,
    pub(super) slow_rate: f64,
    pub(super) window: Duration,
    pub(super) least_calls: u32,
    pub(super) in_a_row: u32,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failure_rate: 0.5,
            slow_call: None,
            slow_rate: 0.5,
            window: Duration::from_secs(10),
            least_calls: 5,
            in_a_row: 5,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(15),
        }
    }
}

impl BreakerConfig {
    /// Takes what is set unless it is told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens when this share of the calls that ended in the window failed.
    pub const fn failure_rate(mut self, share: f64) -> Self {
        self.failure_rate = share;
        self
    }

    /// Calls a call slow that waits longer than this for its first event.
    pub const fn slow_call(mut self, above: Duration) -> Self {
        self.slow_call = Some(above);
        self
    }

    /// Opens when this share of the calls that began to answer in the window were slow.
    pub const fn slow_rate(mut self, share: f64) -> Self {
        self.slow_rate = share;
        self
    }

    /// Counts over the last `length`, in steps of a tenth of it; a millisecond at least.
    pub const fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// Judges by shares only where so many calls were counted.
    pub const fn least_calls(mut self, calls: u32) -> Self {
        self.least_calls = calls;
        self
    }

    /// Opens when so many calls failed in a row, over however long a time.
    pub const fn in_a_row(mut self, failures: u32) -> Self {
        self.in_a_row = failures;
        self
    }

    /// Waits between `first` and `longest`, but no longer than a day, before a probe: twice as long after each that fails, less
    /// up to a fifth by chance.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest.min(Duration::from_secs(24 * 60 * 60));
        self
    }
}
