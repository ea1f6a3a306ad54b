use std::time::Duration;

use orchestrator_core::token::Usage;
use tokio::time::Instant;

use crate::breaker::BreakerStats;
use crate::pool::roster::{Entry, Roster};

/// How a [`Pool`](crate::Pool) is, at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The name of the policy.
    pub policy: String,
    /// The members in the order in which they were added.
    pub members: Vec<MemberStats>,
}

/// How a member is, at one moment, and what it has done since it was added.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemberStats {
    /// Its name.
    pub name: String,
    /// Whether it is given requests.
    pub state: MemberState,
    /// Its weight.
    pub weight: f64,
    /// Calls that it works on, of this pool.
    pub in_flight: usize,
    /// How many slots it has.
    pub slots: usize,
    /// How many of them are free.
    pub free: usize,
    /// How long its first tokens take: a mean that rises at once and falls with time. `None` before the first.
    pub first_token: Option<Duration>,
    /// Its circuit breaker.
    pub breaker: BreakerStats,
    /// Calls so far.
    pub calls: u64,
    /// Calls that failed, for whatever reason.
    pub failures: u64,
    /// Tokens of the calls that came to their end; of the prompts' tokens, those that the server had in its cache are known
    /// where it tells.
    pub usage: Usage,
    /// What it said when it failed last.
    pub last_error: Option<String>,
}

/// Whether a member is given requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemberState {
    /// It is, as far as its breaker lets them through.
    Serving,
    /// No new ones: it is being drained.
    Draining,
    /// No new ones: it said that it takes none.
    Unavailable,
    /// No new ones for a while: it does much worse than the others.
    Ejected,
}

impl MemberState {
    /// Returns its name: `serving`, `draining`, `unavailable` or `ejected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Ejected => "ejected",
        }
    }
}

impl PoolStats {
    pub(super) fn read(roster: &Roster) -> Self {
        let now = Instant::now();
        Self {
            policy: roster.policy.name().to_owned(),
            members: roster.entries.iter().map(|entry| MemberStats::read(entry, now)).collect(),
        }
    }
}

impl MemberStats {
    fn read(entry: &Entry, now: Instant) -> Self {
        let seat = &entry.seat;
        seat.record(|record| Self {
            name: seat.name.clone(),
            state: entry.state(now),
            weight: entry.weight,
            in_flight: seat.in_flight(),
            slots: seat.total(),
            free: seat.offer().free(),
            first_token: record.first_token.get(now),
            breaker: seat.worker.stats(),
            calls: seat.calls(),
            failures: record.failures,
            usage: record.usage,
            last_error: record.last_error.clone(),
        })
    }
}

impl Entry {
    fn state(&self, now: Instant) -> MemberState {
        match () {
            () if self.draining => MemberState::Draining,
            () if self.seat.unavailable_until(now).is_some() => MemberState::Unavailable,
            () if self.ejected.is_some_and(|until| until > now) => MemberState::Ejected,
            () => MemberState::Serving,
        }
    }
}
