use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{End, Finish, Observer, Origin, TokenStream};
use orchestrator_core::worker::{Attempt, Attempts, InferenceRequest, Lease, ModelWorker};
use tokio::time::Instant;

use crate::attempt;
use crate::consequence::Consequence;
use crate::pool::dispatch::Bound;
use crate::pool::fleet::Fleet;
use crate::pool::needs::Needs;
use crate::pool::seat::Presence;

/// A call of a member, from the moment in which it is bound to it to its end.
struct Call {
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

/// Calls the member that a request is bound to.
pub(super) async fn call(
    fleet: Arc<Fleet>,
    bound: Bound,
    needs: Needs,
    mut request: InferenceRequest,
) -> Result<TokenStream, WorkerError> {
    let Bound { entry, slot, presence } = bound;
    entry.adapt(&mut request);
    request.lease = Lease::of(&slot);
    let model = request.model.clone().or_else(|| entry.model.clone());
    let started = Instant::now();
    let (context, attempts) = (request.context.clone(), request.attempts.clone());
    let before = attempts.len();
    let mut call =
        Call { fleet, presence, needs, model, context, attempts, before, started, begun: false, over: false };
    call.start();
    match entry.seat.worker.infer(request).await {
        Ok(stream) => Ok(stream.keep(slot).observed(call)),
        Err(error) => {
            call.failed(&error);
            Err(error)
        }
    }
}

impl Call {
    fn start(&self) {
        self.presence.seat().record(|record| {
            record.calls += 1;
        });
    }

    /// Takes note of the first sign of the answer.
    fn first(&mut self) {
        let now = Instant::now();
        self.begun = true;
        self.presence.seat().record(|record| record.first_token.record(now - self.started, now));
        self.fleet.look_for_outliers(now);
    }

    fn finished(&mut self, finish: &mut Finish) {
        if !self.begun {
            self.first();
        }
        self.over = true;
        let now = Instant::now();
        self.presence.seat().record(|record| {
            record.ended(false, now);
            record.spent(finish.usage);
        });
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
        let consequence = Consequence::of(error.kind());
        seat.record(|record| {
            record.failures += 1;
            record.last_error = Some(error.message().to_owned());
            record.ended(consequence.fault, now);
        });
        self.fleet.look_for_outliers(now);
        self.note(error, took);
        if consequence.elsewhere && self.fleet.takes_now(&self.needs, &self.attempts.all(), now) {
            self.attempts.amend(self.attempts.len() - 1, |last| last.elsewhere = true);
        }
    }

    /// Notes the failure as one of this member, or where those behind it have noted it themselves, that they were called as it.
    fn note(&self, error: &WorkerError, took: Duration) {
        let name = &self.presence.seat().name;
        if self.attempts.len() > self.before {
            self.attempts.amend(self.before, |attempt| attempt.via.push(name.clone()));
        } else {
            let model = self.model.as_deref().map(str::to_owned);
            let attempt = Attempt::new(name, model, error, took).begun(self.begun);
            attempt::record(&self.attempts, &self.context, attempt);
        }
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
