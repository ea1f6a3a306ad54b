//! One rate, by governor's generic cell rate algorithm over levels that lie with the caller.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::runtime::clock::Clock;

/// So much per time, and so much at once.
pub(super) struct Rate {
    limiter: RateLimiter<Level, InPlace, Clock>,
    burst: NonZeroU32,
}

impl Rate {
    /// Makes the rate of `amount` in each `per`, of which `burst` may come at once.
    pub(super) fn new(amount: NonZeroU32, per: Duration, burst: NonZeroU32, clock: Clock) -> Self {
        // Rounded up, so that never more passes than was said.
        let nanos = per.as_nanos().div_ceil(u128::from(amount.get()));
        let pause = Duration::from_nanos(u64::try_from(nanos).expect("at most a minute"));
        let quota = Quota::with_period(pause).expect("at least a nanosecond").allow_burst(burst);
        Self { limiter: RateLimiter::new(quota, InPlace, clock), burst }
    }

    /// Returns the most that can ever pass at once.
    pub(super) fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// Takes `amount`, at most the [`burst`](Self::burst), from a level, or leaves it as it is and says how long it takes until
    /// there is as much.
    pub(super) fn take(&self, level: &Level, amount: NonZeroU32) -> Result<(), Duration> {
        let taken = self.limiter.check_key_n(level, amount).expect("no more than the burst is asked for");
        taken.map_err(|not_yet| not_yet.wait_time_from(GovernorClock::now(self.limiter.clock())))
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("burst", &self.burst).finish_non_exhaustive()
    }
}

/// What one tenant has left of one rate: the instant, in nanoseconds since the rate was made, at which it will have all
/// of it again. 0 before its first request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Level(Cell<u64>);

impl Level {
    /// Whether all of it is there again, so that it says no more than a new one.
    pub(super) fn is_full(&self, since_start: u64) -> bool {
        self.0.get() <= since_start
    }
}

impl Hash for Level {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

/// A store of levels that keeps none: the key is the level itself. Whoever has the level keeps others from it.
struct InPlace;

impl StateStore for InPlace {
    type Key = Level;

    fn measure_and_replace<T, F, E>(&self, level: &Level, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let known = Some(level.0.get()).filter(|at| *at > 0);
        let (outcome, next) = measure(known.map(Nanos::from))?;
        level.0.set(next.into());
        Ok(outcome)
    }
}

impl GovernorClock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Self::now(*self).into()
    }
}
