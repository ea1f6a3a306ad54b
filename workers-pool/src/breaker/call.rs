use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{End, Observer};
use tokio::time::Instant;

use super::circuit::{Pass, Verdict};
use super::worker::Shared;
use crate::consequence::Consequence;

/// A server that asks for less than this asks for nothing: it refuses.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// So long a worker may be silent whatever the deadline: who comes shortly before it can't blame the worker.
const PATIENCE: Duration = Duration::from_secs(1);

/// A call on its way: tells the circuit how it goes, once.
pub(super) struct Call {
    shared: Arc<Shared>,
    pass: Pass,
    times: Option<Times>,
    begun: bool,
    ended: bool,
}

/// Where it matters how long the first event takes.
#[derive(Clone, Copy)]
pub(super) struct Times {
    started: Instant,
    deadline: Option<Instant>,
}

impl Times {
    /// Starts now.
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self { started: Instant::now(), deadline }
    }

    /// Whether all the time that the request had went by while the worker said nothing.
    fn are_up(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now && now - self.started >= PATIENCE)
    }
}

impl Call {
    pub(super) const fn new(shared: Arc<Shared>, pass: Pass, times: Option<Times>) -> Self {
        Self { shared, pass, times, begun: false, ended: false }
    }

    pub(super) const fn is_probe(&self) -> bool {
        self.pass.is_probe
    }

    /// Tells that no stream came.
    pub(super) fn failed(mut self, error: &WorkerError) {
        self.settle(verdict(error));
    }

    /// Tells that all of the answer is there.
    pub(super) fn answered(mut self) {
        if !self.begun {
            self.begin();
        }
        self.settle(Verdict::Success);
    }

    fn settle(&mut self, verdict: Verdict) {
        if !std::mem::replace(&mut self.ended, true) {
            let (pass, now) = (self.pass, Instant::now());
            self.shared.tell(|circuit, chance| circuit.ended(pass, verdict, now, chance));
        }
    }

    /// Tells that nobody wants it any more: where the answer had not begun, how long the worker was silent.
    fn left(&mut self) {
        let Some(times) = self.times.filter(|_| !self.begun && !self.ended) else {
            return self.settle(Verdict::Neither);
        };
        let now = Instant::now();
        if times.are_up(now) {
            return self.settle(Verdict::Fault);
        }
        let pass = self.pass;
        if self.shared.slow_call.is_some_and(|limit| now.saturating_duration_since(times.started) > limit) {
            self.shared.tell(|circuit, chance| circuit.begun(pass, times.started, now, chance));
        }
        self.settle(Verdict::Neither);
    }
}

impl Observer for Call {
    fn begin(&mut self) {
        self.begun = true;
        if self.pass.is_probe || self.shared.slow_call.is_some() {
            let (pass, now) = (self.pass, Instant::now());
            let started = self.times.map_or(now, |times| times.started);
            self.shared.tell(|circuit, chance| circuit.begun(pass, started, now, chance));
        }
    }

    fn end(&mut self, end: End<'_>) {
        match end {
            End::Finished(_) => {
                if !self.begun {
                    self.begin();
                }
                self.settle(Verdict::Success);
            }
            End::Failed(error) => self.settle(verdict(error)),
            End::Dropped => self.left(),
        }
    }
}

impl Drop for Call {
    /// It is dropped while the worker is called, unless it is by a panic of that.
    fn drop(&mut self) {
        match std::thread::panicking() {
            true => self.settle(Verdict::Fault),
            false => self.left(),
        }
    }
}

fn verdict(error: &WorkerError) -> Verdict {
    match (error.kind(), error.retry_after()) {
        (WorkerErrorKind::RateLimited, Some(pause)) if pause >= LEAST_PAUSE => {
            Instant::now().checked_add(pause).map_or(Verdict::Fault, Verdict::Rest)
        }
        (WorkerErrorKind::RateLimited, _) => Verdict::Fault,
        (kind, _) if Consequence::of(kind).fault => Verdict::Fault,
        _ => Verdict::Neither,
    }
}
