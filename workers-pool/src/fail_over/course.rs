use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{Finish, FinishReason, Origin, Relay, TokenEvent, TokenStream, Usage};
use orchestrator_core::worker::{Attempt, InferenceRequest, ModelWorker, WorkerInfo};
use tokio::time::Instant;

use super::begun;
use super::delivered::Delivered;
use super::next::{self, Next};
use super::seam::Seam;
use super::worker::{How, Resume};
use crate::attempt;

/// A request on its way through one call after the other.
pub(super) struct Course<W> {
    worker: Arc<W>,
    how: How,
    /// As the caller made it.
    asked: InferenceRequest,
    delivered: Delivered,
    call: Call,
    /// By what the answer broke off, or could not begin anew.
    broke: Option<WorkerError>,
    /// Whether nobody is asked to go on any more: who was asked refused, or could not, and there is nobody else.
    refused: bool,
    /// Whether what the reader has is void, and it was not told yet.
    owes_reset: bool,
    /// Since when calls are refused without a server being asked.
    shut: Option<Instant>,
    /// Holds what the answer keeps, such as a slot, for the stream of each call.
    relay: Relay,
}

/// The call that is made now.
struct Call {
    started: Instant,
    /// How many attempts were noted when it began, or when it became a stream.
    noted: usize,
    /// How many tokens of what was delivered it goes on behind; `None` where it begins anew.
    behind: Option<u64>,
    /// Whether its stream has said anything.
    begun: bool,
}

/// What comes of calls: a stream, or the caller's error.
pub(super) type Called<W> = Result<(Box<Course<W>>, TokenStream), WorkerError>;

impl<W: ModelWorker> Course<W> {
    pub(super) fn new(worker: Arc<W>, how: How, asked: InferenceRequest) -> Box<Self> {
        let delivered = Delivered::new(how.resume != Resume::Continue || begun::is_barred(&asked));
        let call = Call { started: Instant::now(), noted: 0, behind: None, begun: false };
        let relay = Relay::default();
        let (broke, refused, owes_reset, shut) = (None, false, false, None);
        Box::new(Self { worker, how, asked, delivered, call, broke, refused, owes_reset, shut, relay })
    }

    pub(super) fn relay(&self) -> Relay {
        self.relay.clone()
    }

    /// Makes the first call, with the request as it came, and others where it fails.
    pub(super) async fn begin(mut self: Box<Self>, request: InferenceRequest) -> Called<W> {
        match self.call(request).await {
            Ok(stream) => Ok((self, stream)),
            Err(error) => {
                let next = self.next(&error)?;
                self.go_on(next).await
            }
        }
    }

    /// Makes calls until one of them is a stream, or nothing is left to be tried.
    pub(super) async fn go_on(mut self: Box<Self>, mut next: Next) -> Called<W> {
        loop {
            if !next.pause.is_zero() {
                tokio::time::sleep(next.pause).await;
            }
            self.call.behind = next.behind;
            match self.call(next.request).await {
                Ok(stream) => return Ok((self, stream)),
                Err(error) => next = self.next(&error)?,
            }
        }
    }

    async fn call(&mut self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.call.started = Instant::now();
        self.call.noted = self.asked.attempts.len();
        self.call.begun = false;
        let stream = self.worker.infer(request).await?;
        self.relay.run(&stream);
        self.shut = None;
        self.call.noted = self.asked.attempts.len();
        Ok(stream)
    }

    /// Takes note of an event before the reader gets it.
    #[inline]
    pub(super) fn delivers(&mut self, event: &mut TokenEvent) {
        self.call.begun = true;
        match event {
            TokenEvent::Text(delta) => self.delivered.add(delta),
            TokenEvent::Reasoning(delta) if delta.text().is_empty() => {}
            TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_) => self.delivered.bar(),
            TokenEvent::Reset => self.void(),
            TokenEvent::Finish(finish) => self.sign(finish),
        }
    }

    /// Returns whether everything so far is to be taken back before the next event; once.
    pub(super) const fn takes_back(&mut self) -> bool {
        std::mem::replace(&mut self.owes_reset, false)
    }

    /// Looks at the seam that the stream goes on behind.
    pub(super) fn seam(&self) -> Seam {
        if self.goes_on() { Seam::behind(self.delivered.text(), &self.asked.sampling) } else { Seam::default() }
    }

    /// Returns the end of an answer that was at a stop text before the seam: nothing behind that belongs to it.
    pub(super) fn stopped(&self) -> Finish {
        let behind = self.call.behind.unwrap_or_default();
        Finish::new(FinishReason::Stop, Usage::new(self.asked.estimated_prompt_tokens() + behind, 0))
    }

    /// Returns the end of an answer that broke off where it had all the tokens that it may have.
    pub(super) fn whole(&mut self, error: &WorkerError) -> Option<Finish> {
        let is_begun = !self.delivered.is_nothing() && !self.delivered.is_barred();
        if !is_begun || !next::may_go_on(error) || !begun::is_full(&self.asked, &self.delivered) {
            return None;
        }
        self.note(error);
        let usage = Usage::new(self.asked.estimated_prompt_tokens(), self.delivered.tokens());
        let mut finish = Finish::new(FinishReason::Length, usage);
        let last = self.asked.attempts.last();
        finish.origin = last.map(|last| Box::new(Origin::new(last.worker, last.model)));
        self.name_the_failed(&mut finish);
        Some(finish)
    }

    /// Says what is to be done behind a failure of the call or its stream.
    ///
    /// # Errors
    ///
    /// The caller's error, where nothing can be done.
    pub(super) fn next(&mut self, error: &WorkerError) -> Result<Next, WorkerError> {
        self.note(error);
        let refuses = self.is_refusal(error);
        if refuses {
            self.refused |= !self.is_another_there();
        } else {
            if self.call.begun || !self.goes_on() {
                self.broke = Some(error.clone());
            }
            self.refused |= self.was_the_last_to_go_on();
        }
        // That a worker refuses to go on is no failure of the answer: what counts is how that broke off.
        let cause = self.broke.clone().filter(|_| refuses);
        let next = if self.was_given_up() { None } else { self.again(cause.as_ref().unwrap_or(error)) };
        next.ok_or_else(|| self.told(error))
    }

    /// Returns whether those who make further attempts inside have done all that can be done: nothing was delivered yet.
    fn was_given_up(&self) -> bool {
        !self.has_begun() && self.asked.attempts.last().is_some_and(|last| last.given_up)
    }

    /// Returns whether the reader has something, be it void.
    fn has_begun(&self) -> bool {
        self.owes_reset || !self.delivered.is_nothing()
    }

    /// Returns whether somebody else than whoever failed last could do what that one could not.
    fn is_another_there(&self) -> bool {
        self.asked.attempts.last().is_some_and(|last| last.elsewhere)
    }

    /// Returns whether the worker only does not want to go on behind the prefix.
    fn is_refusal(&self, error: &WorkerError) -> bool {
        self.goes_on() && !self.call.begun && error.kind() == WorkerErrorKind::InvalidRequest
    }

    /// Returns whether nobody is left who could be asked to go on, while whoever is there may start again.
    fn was_the_last_to_go_on(&self) -> bool {
        self.how.resets && self.goes_on() && !self.call.begun && !self.is_another_there()
    }

    /// Returns whether the call goes on behind something that was delivered before it.
    pub(super) const fn goes_on(&self) -> bool {
        self.call.behind.is_some()
    }

    /// Notes a failed attempt, where nobody below has; by then it is known whose tokens were delivered.
    fn note(&mut self, error: &WorkerError) {
        let attempts = &self.asked.attempts;
        if attempts.len() == self.call.noted && !error.is_unsent() {
            let WorkerInfo { name, model, .. } = self.worker.info();
            let attempt = Attempt::new(name, model, error, self.call.started.elapsed());
            attempt::record(attempts, &self.asked.context, attempt.begun(self.call.begun));
        }
        self.call.noted = attempts.len();
        self.delivered.ends_with(attempts.last().and_then(|last| last.model).as_deref());
    }

    fn again(&mut self, error: &WorkerError) -> Option<Next> {
        let continued = self.continued();
        let begins_anew = self.delivered.is_nothing() || self.how.resets;
        if continued.is_none() && !begins_anew {
            return None;
        }
        let pause = self.pause(error)?;
        if let Some(request) = continued {
            return Some(Next { pause, request, behind: Some(self.delivered.tokens()) });
        }
        if !self.delivered.is_nothing() {
            self.void();
            self.owes_reset = true;
        }
        Some(Next { pause, request: self.asked.clone(), behind: None })
    }

    /// In how long there may be another call, which is paid for then; `None` where there may not.
    fn pause(&mut self, error: &WorkerError) -> Option<Duration> {
        let since = *self.shut.get_or_insert(self.call.started);
        if let Some(pause) = self.how.pace.wait(since, error, &self.asked.context) {
            return Some(pause);
        }
        self.shut = None;
        let cause = if self.delivered.is_nothing() { error.clone() } else { next::in_mid_answer(error)? };
        let InferenceRequest { attempts, context, .. } = &self.asked;
        let pause = self.how.pace.next(attempts, &cause, context)?;
        self.how.budget.pay(attempts, &cause).then_some(pause)
    }

    /// Returns the request by which the worker goes on, where it can.
    fn continued(&self) -> Option<InferenceRequest> {
        if self.refused || self.delivered.is_nothing() || self.delivered.is_barred() {
            return None;
        }
        let worker = self.worker.info();
        if worker.continues { begun::go_on(&self.asked, &self.delivered, &worker) } else { None }
    }

    /// Forgets what was delivered.
    fn void(&mut self) {
        self.delivered = Delivered::new(self.how.resume != Resume::Continue || begun::is_barred(&self.asked));
    }

    /// Returns the error that the caller gets: of a begun answer the one by which it broke off, or could not begin anew.
    fn told(&self, error: &WorkerError) -> WorkerError {
        let error = self.broke.as_ref().filter(|_| self.has_begun()).unwrap_or(error);
        attempt::give_up(error.clone(), &self.asked.attempts)
    }

    /// Makes the terminal event that of the whole answer.
    fn sign(&self, finish: &mut Finish) {
        if let Some(behind) = self.call.behind {
            let usage = &mut finish.usage;
            usage.prompt_tokens = usage.prompt_tokens.saturating_sub(behind);
            usage.cached_tokens = usage.cached_tokens.min(usage.prompt_tokens);
            usage.completion_tokens = usage.completion_tokens.saturating_add(behind);
        }
        self.name_the_failed(finish);
    }

    fn name_the_failed(&self, finish: &mut Finish) {
        let failed = self.asked.attempts.all();
        if failed.is_empty() {
            return;
        }
        let origin = finish.origin.get_or_insert_with(|| {
            let WorkerInfo { name, model, .. } = self.worker.info();
            Box::new(Origin::new(name, model))
        });
        origin.failed = failed;
    }
}
