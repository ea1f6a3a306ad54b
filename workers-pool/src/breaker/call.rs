use std::sync::Arc;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{End, Observer};
use tokio::time::Instant;

use super::circuit::{Pass, Verdict};
use super::worker::Shared;
use crate::consequence::Consequence;

/// A call on its way: tells the circuit how it goes, once.
pub(super) struct Call {
    shared: Arc<Shared>,
    pass: Pass,
    /// Where it matters how long its first event takes.
    started: Option<Instant>,
    begun: bool,
    ended: bool,
}

impl Call {
    pub(super) const fn new(shared: Arc<Shared>, pass: Pass, started: Option<Instant>) -> Self {
        Self { shared, pass, started, begun: false, ended: false }
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
}

impl Observer for Call {
    fn begin(&mut self) {
        self.begun = true;
        if let Some(started) = self.started {
            let (pass, now) = (self.pass, Instant::now());
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
            End::Dropped => self.settle(Verdict::Neither),
        }
    }
}

impl Drop for Call {
    /// A call that is dropped says nothing, unless it is by a panic of the worker.
    fn drop(&mut self) {
        self.settle(if std::thread::panicking() { Verdict::Fault } else { Verdict::Neither });
    }
}

fn verdict(error: &WorkerError) -> Verdict {
    match (error.kind(), error.retry_after()) {
        (WorkerErrorKind::RateLimited, Some(pause)) => {
            Instant::now().checked_add(pause).map_or(Verdict::Fault, Verdict::Rest)
        }
        (WorkerErrorKind::RateLimited, None) => Verdict::Fault,
        (kind, _) if Consequence::of(kind).fault => Verdict::Fault,
        _ => Verdict::Neither,
    }
}
