use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{End, Finish, Observer, Origin, TokenStream};
use orchestrator_core::worker::{Attempt, Attempts, InferenceRequest, Slot};
use tokio::time::Instant;

use crate::attempt;
use crate::consequence::Consequence;
use crate::pool::dispatch::Bound;
use crate::pool::fleet::Fleet;
use crate::pool::needs::Needs;
use crate::pool::roster::Entry;
use crate::pool::seat::Presence;

/// A call of a member, from the moment in which it is bound to it to its end.
pub(super) struct Call {
    fleet: Arc<Fleet>,
    presence: Presence,
    needs: Needs,
    model: Option<Arc<str>>,
    context: Context,
    attempts: Attempts,
    /// How many attempts had failed before.
    before: usize,
    started: Instant,
    begun: bool,
    over: bool,
}

impl Call {
    /// Makes a request ready for the member that it is bound to; returns the member, too, and the slot that the stream keeps.
    pub(super) fn start(
        fleet: Arc<Fleet>,
        bound: Bound,
        needs: Needs,
        request: &mut InferenceRequest,
    ) -> (Self, Arc<Entry>, Option<Slot>) {
        let Bound { entry, slot, lease, presence, now: started } = bound;
        entry.adapt(request);
        request.lease = lease;
        let model = request.model.clone().or_else(|| entry.model.clone());
        let (context, attempts) = (request.context.clone(), request.attempts.clone());
        let before = attempts.len();
        context.asks_model(model.clone());
        presence.seat().called();
        let call =
            Self { fleet, presence, needs, model, context, attempts, before, started, begun: false, over: false };
        (call, entry, slot)
    }

    /// Follows what came of it.
    pub(super) fn follow(
        mut self,
        slot: Option<Slot>,
        answer: Result<TokenStream, WorkerError>,
    ) -> Result<TokenStream, WorkerError> {
        match answer {
            Ok(stream) => Ok(slot.into_iter().fold(stream.observed(self), TokenStream::keep)),
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Takes note of the first sign of the answer.
    fn first(&mut self) {
        let now = Instant::now();
        self.begun = true;
        self.presence.seat().record(|record| record.begun(now - self.started, now));
        self.fleet.look_for_outliers(now);
    }

    fn finished(&mut self, finish: &mut Finish) {
        if !self.begun {
            self.first();
        }
        self.over = true;
        self.presence.seat().record(|record| record.spent(finish.usage));
        let origin = finish.origin.get_or_insert_with(|| {
            let model = self.model.as_deref().map(str::to_owned);
            Box::new(Origin::new(self.presence.seat().name.clone(), model))
        });
        if !self.attempts.is_empty() {
            origin.failed = self.attempts.all();
        }
    }

    fn failed(&mut self, error: &WorkerError) {
        self.over = true;
        let (now, seat) = (Instant::now(), self.presence.seat());
        let took = now - self.started;
        let silent = !self.begun && matches!(error.kind(), WorkerErrorKind::Timeout(_));
        seat.record(|record| record.failed(error, self.begun, silent.then_some(took), now));
        self.fleet.look_for_outliers(now);
        self.note(error, took);
        let again = Consequence::of(error.kind()).again;
        if self.is_for_others(error) && self.fleet.is_another_there(&self.needs, &self.attempts.all(), again, now) {
            self.attempts.amend(self.attempts.len() - 1, |last| last.elsewhere = true);
        }
    }

    /// Whether others may do better: also one that refused to go on with an answer says nothing of them.
    fn is_for_others(&self, error: &WorkerError) -> bool {
        let refused_to_go_on =
            error.kind() == WorkerErrorKind::InvalidRequest && self.needs.begun.is_some() && !self.begun;
        refused_to_go_on || Consequence::of(error.kind()).elsewhere
    }

    /// Notes the failure as one of this member, or where those behind it have noted it themselves, that they were called as it.
    fn note(&self, error: &WorkerError, took: Duration) {
        let seat = self.presence.seat();
        if self.attempts.len() == self.before {
            let model = self.model.as_deref().map(str::to_owned);
            let mut attempt = Attempt::new(&seat.name, model, error, took).begun(self.begun);
            attempt.goes_on = self.needs.begun.is_some();
            attempt::record(&self.attempts, &self.context, attempt);
        }
        self.attempts.amend(self.before, |attempt| {
            attempt.members.push(seat.id);
            // Whoever gave up has asked this member only.
            attempt.given_up = false;
        });
    }

    /// Nobody waits for it any more.
    fn left(&self) {
        let now = Instant::now();
        let took: Duration = now - self.started;
        self.presence.seat().record(|record| record.first_token.at_least(took, now));
    }
}

impl Observer for Call {
    fn begin(&mut self) {
        self.first();
    }

    fn end(&mut self, end: End<'_>) {
        match end {
            End::Finished(finish) => self.finished(finish),
            End::Failed(error) => self.failed(error),
            End::Dropped => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.over && !self.begun {
            self.left();
        }
    }
}
