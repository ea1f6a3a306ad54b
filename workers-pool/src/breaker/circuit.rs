use std::time::Duration;

use tokio::time::Instant;

use super::config::BreakerConfig;
use super::window::{Counts, Window};

/// How much of a pause chance may take away, so that breakers that opened together don't probe together.
const SPREAD: f64 = 0.2;

/// In this time it is probably known how a probe goes.
pub(crate) const PROBED: Duration = Duration::from_secs(1);

/// What a [`Breaker`](crate::Breaker) does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// The server asked for a pause: calls are refused until then, and go through afterwards.
    Resting {
        /// When it is over.
        until: Instant,
    },
    /// Calls are refused; the first one from then on is the probe.
    Open {
        /// When the probe may start.
        probe_at: Instant,
    },
    /// The probe is on its way, and has not begun to answer; all other calls are refused.
    HalfOpen,
}

impl BreakerState {
    /// Returns its name: `closed`, `resting`, `open` or `half-open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Resting { .. } => "resting",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A call that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    /// What was decided since is no business of it.
    epoch: u64,
    pub(super) is_probe: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Fault,
    /// The server wants to be left alone until then.
    Rest(Instant),
    /// It says nothing about the worker.
    Neither,
}

/// Decides which calls go through: no clock, no lock, no worker.
///
/// Whatever changes the state for other reasons than a pause that a server asked for begins a new epoch, and calls of earlier
/// ones are not counted any more. So the probe is alone in its epoch: its first event closes the circuit, on trial until it
/// ends.
#[derive(Debug)]
pub(super) struct Circuit {
    config: BreakerConfig,
    state: BreakerState,
    window: Window,
    failed_in_a_row: u32,
    /// The pause that it is in, or was in last, before chance; zero since a call ended well behind it.
    pause: Duration,
    /// The probe by whose first event it closed, as long as that goes on.
    trial: Option<Pass>,
    /// Until when the server asked to be left alone: nobody may ask it sooner.
    asked_for: Option<Instant>,
    epoch: u64,
    opened: u64,
}

impl Pass {
    /// A pass as a number: below [`Self::NONE`], and not that of a probe.
    pub(super) const fn to_bits(pass: Option<Self>) -> u64 {
        match pass {
            Some(Self { epoch, is_probe: false }) => epoch,
            _ => Self::NONE,
        }
    }

    pub(super) const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            Self::NONE => None,
            epoch => Some(Self { epoch, is_probe: false }),
        }
    }

    const NONE: u64 = u64::MAX;
}

impl Circuit {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: BreakerState::Closed,
            window: Window::new(config.window),
            failed_in_a_row: 0,
            pause: Duration::ZERO,
            trial: None,
            asked_for: None,
            epoch: 0,
            opened: 0,
        }
    }

    pub(super) const fn state(&self) -> BreakerState {
        self.state
    }

    /// What lets calls through while it is closed, without asking it; `None` while it is not.
    pub(super) fn pass(&self) -> Option<Pass> {
        (self.state == BreakerState::Closed).then_some(Pass { epoch: self.epoch, is_probe: false })
    }

    /// How often it opened, probes that failed not counted.
    pub(super) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Returns whether a call would be let through, without doing so.
    ///
    /// # Errors
    ///
    /// Says in how long the next one may be.
    pub(super) fn look(&self, now: Instant) -> Result<(), Duration> {
        match self.state {
            BreakerState::Resting { until: at } | BreakerState::Open { probe_at: at } if at > now => Err(at - now),
            BreakerState::HalfOpen => Err(self.next_pause().min(PROBED)),
            BreakerState::Closed | BreakerState::Resting { .. } | BreakerState::Open { .. } => Ok(()),
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    ///
    /// Says in how long the next one may be.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        self.look(now)?;
        match self.state {
            BreakerState::Resting { .. } => self.state = BreakerState::Closed,
            BreakerState::Open { .. } => self.enter(BreakerState::HalfOpen),
            BreakerState::Closed | BreakerState::HalfOpen => {}
        }
        Ok(Pass { epoch: self.epoch, is_probe: self.state == BreakerState::HalfOpen })
    }

    /// Counts the first event of a call, which it waited for since `started`; `chance` from 0 to 1 spreads pauses.
    pub(super) fn begun(&mut self, pass: Pass, started: Instant, now: Instant, chance: f64) {
        if pass.epoch != self.epoch {
            return;
        }
        let slow = self.config.slow_call.is_some_and(|limit| now.saturating_duration_since(started) > limit);
        if pass.is_probe {
            return if slow { self.reopen(now, chance) } else { self.try_out(pass) };
        }
        let counts = self.window.count(now, Counts { begun: 1, slow: slow.into(), ..Counts::default() });
        if slow && self.reached(counts.slow, counts.begun, self.config.slow_rate) {
            self.open(now, chance);
        }
    }

    /// Counts the end of a call.
    pub(super) fn ended(&mut self, pass: Pass, verdict: Verdict, now: Instant, chance: f64) {
        if self.trial == Some(pass) {
            self.trial = None;
            self.tried_out(verdict, now, chance);
        } else if pass.epoch != self.epoch {
            self.heed(verdict);
        } else if pass.is_probe {
            self.probed(verdict, now, chance);
        } else {
            self.count(verdict, now, chance);
        }
    }

    /// Closes it, and keeps in mind how long the pause was: servers that die in mid-stream can begin an answer, too.
    fn try_out(&mut self, probe: Pass) {
        self.trial = Some(probe);
        self.enter(BreakerState::Closed);
    }

    /// Heeds the end of the probe that closed it; of one that nobody read to its end, the next call to end well does instead.
    fn tried_out(&mut self, verdict: Verdict, now: Instant, chance: f64) {
        match verdict {
            Verdict::Success => self.pause = Duration::ZERO,
            Verdict::Fault => self.reopen(now, chance),
            Verdict::Rest(until) => self.rest(until),
            Verdict::Neither => {}
        }
    }

    /// Heeds what a call of before says of times to come.
    fn heed(&mut self, verdict: Verdict) {
        if let (Verdict::Rest(until), BreakerState::Open { probe_at }) = (verdict, self.state) {
            self.asked_for = self.asked_for.max(Some(until));
            self.state = BreakerState::Open { probe_at: self.not_before(probe_at) };
        }
    }

    /// Heeds the end of the probe before it had begun to answer.
    fn probed(&mut self, verdict: Verdict, now: Instant, chance: f64) {
        match verdict {
            Verdict::Success => self.close(),
            Verdict::Fault => self.reopen(now, chance),
            Verdict::Rest(until) => {
                self.asked_for = Some(until);
                self.enter(BreakerState::Open { probe_at: until });
            }
            Verdict::Neither => self.enter(BreakerState::Open { probe_at: now }),
        }
    }

    fn count(&mut self, verdict: Verdict, now: Instant, chance: f64) {
        match verdict {
            Verdict::Success => {
                self.failed_in_a_row = 0;
                self.window.count(now, Counts { ended: 1, ..Counts::default() });
                if self.trial.is_none() {
                    self.pause = Duration::ZERO;
                }
            }
            Verdict::Fault => self.fault(now, chance),
            Verdict::Rest(until) => self.rest(until),
            Verdict::Neither => {}
        }
    }

    /// Closes it, and forgets what was counted.
    pub(super) fn close(&mut self) {
        self.window.clear();
        self.failed_in_a_row = 0;
        self.pause = Duration::ZERO;
        self.trial = None;
        self.asked_for = None;
        self.enter(BreakerState::Closed);
    }

    /// Lets the next call be the probe if it is open, but not within a pause that the server asked for.
    pub(super) fn probe_now(&mut self, now: Instant) {
        let soonest = self.not_before(now);
        if let BreakerState::Open { probe_at } = &mut self.state {
            *probe_at = soonest.min(*probe_at);
        }
    }

    /// This instant, or the end of a pause that the server asked for.
    fn not_before(&self, instant: Instant) -> Instant {
        self.asked_for.map_or(instant, |until| until.max(instant))
    }

    fn fault(&mut self, now: Instant, chance: f64) {
        self.failed_in_a_row += 1;
        let counts = self.window.count(now, Counts { ended: 1, failed: 1, ..Counts::default() });
        if self.failed_in_a_row >= self.config.in_a_row
            || self.reached(counts.failed, counts.ended, self.config.failure_rate)
        {
            self.open(now, chance);
        }
    }

    fn reached(&self, bad: u32, all: u32, share: f64) -> bool {
        all >= self.config.least_calls && f64::from(bad) >= f64::from(all) * share
    }

    fn rest(&mut self, until: Instant) {
        let longer = match self.state {
            BreakerState::Resting { until: before } => before.max(until),
            _ => until,
        };
        self.asked_for = Some(longer);
        self.state = BreakerState::Resting { until: longer };
    }

    fn open(&mut self, now: Instant, chance: f64) {
        self.opened += 1;
        self.reopen(now, chance);
    }

    /// Opens it again by its probe.
    fn reopen(&mut self, now: Instant, chance: f64) {
        self.pause = self.next_pause();
        self.window.clear();
        self.failed_in_a_row = 0;
        let probe_at = self.not_before(now + self.pause.mul_f64(1.0 - SPREAD * chance));
        self.enter(BreakerState::Open { probe_at });
    }

    fn next_pause(&self) -> Duration {
        (self.pause * 2).max(self.config.first_pause).min(self.config.longest_pause)
    }

    fn enter(&mut self, state: BreakerState) {
        if state != BreakerState::Closed {
            self.trial = None;
        }
        self.state = state;
        self.epoch += 1;
    }
}
