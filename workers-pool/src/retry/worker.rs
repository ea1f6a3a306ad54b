use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Attempt, Attempts, Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};
use tokio::time::Instant;

use super::budget::Budget;
use crate::attempt;
use crate::pace::Pace;

/// Asks again where a call fails before its first event.
///
/// `infer` returns when the first event is there; what fails behind it is a matter for fail-over.
/// Whether a failure allows another attempt depends on its kind: what a server could not do now
/// may succeed in a moment, an invalid request or a filtered answer never will. How many attempts there are, and how far apart,
/// says the [`Pace`].
///
/// A **budget** keeps retries from becoming the load that they are meant to survive: at most one for five requests, and ten a second
/// beyond these. Attempts that go to another member of a pool need none. Without budget the failure is returned as it is.
///
/// The error of a request that failed for good is the last one, and names all attempts in its message; each is a note in the
/// request's report, too.
///
/// A call that goes on with an answer is made once: whether another way is better than trying that one again, the fail-over around it
/// decides.
///
/// Around a pool or a breaker, so that the next attempt is another choice, or waits for the probe; inside of a fail-over, which
/// leaves it at that when the retry has given up. Retries around retries don't multiply: attempts are counted by request.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::testing::{MockWorker, Script};
/// use workers_pool::{Pace, Retry};
///
/// let worker = MockWorker::new(Script::answering("to be"));
/// let backoff = Pace::new().backoff(Duration::from_millis(200), Duration::from_secs(5));
/// let retry = Retry::new(worker).pace(backoff.attempts(4)).budget(0.1);
/// ```
#[derive(Debug)]
pub struct Retry<W> {
    worker: W,
    pace: Pace,
    budget: Budget,
    retries: AtomicU64,
    unpaid: AtomicU64,
}

/// What a [`Retry`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Attempts beyond the first ones.
    pub retries: u64,
    /// Attempts that were not made because the budget was spent.
    pub out_of_budget: u64,
}

impl<W: ModelWorker> Retry<W> {
    /// Asks a worker again, with the usual pace and budget.
    pub fn new(worker: W) -> Self {
        Self {
            worker,
            pace: Pace::new(),
            budget: Budget::share(0.2),
            retries: AtomicU64::new(0),
            unpaid: AtomicU64::new(0),
        }
    }

    /// Sets how many attempts there are, and how far apart.
    #[must_use]
    pub fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Sets how many retries there may be for each request, from 0 to 1, beyond ten a second.
    #[must_use]
    pub fn budget(self, share: f32) -> Self {
        Self { budget: Budget::share(share), ..self }
    }

    /// Returns what it has done.
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        RetryStats { retries: self.retries.load(Ordering::Relaxed), out_of_budget: self.unpaid.load(Ordering::Relaxed) }
    }

    /// Calls the worker, and waits for its first event.
    async fn begin(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let mut stream = self.worker.infer(request).await?;
        match stream.peek().await {
            Some(Ok(_)) => Ok(stream),
            Some(Err(error)) => Err(error.clone()),
            None => Err(WorkerError::stream_cut()),
        }
    }

    /// Notes a failure, unless somebody below has, who knows better who it was.
    fn note(&self, request: &InferenceRequest, before: usize, started: Instant, error: &WorkerError) {
        if request.attempts.len() == before && !error.is_unsent() {
            let WorkerInfo { name, model, .. } = self.worker.info();
            let failed = Attempt::new(name, model, error, started.elapsed());
            attempt::record(&request.attempts, &request.context, failed);
        }
    }

    /// Says in how long there is another attempt.
    ///
    /// # Errors
    ///
    /// The caller's error, where there is none.
    fn next(&self, attempts: &Attempts, error: &WorkerError, context: &Context) -> Result<Duration, WorkerError> {
        let pause = self.pace.next(attempts, error, context);
        let paid = pause.filter(|_| self.budget.pay(attempts, error));
        let Some(pause) = paid else {
            self.unpaid.fetch_add(pause.is_some().into(), Ordering::Relaxed);
            attempt::mark_given_up(attempts);
            return Err(attempt::give_up(error.clone(), attempts));
        };
        self.retries.fetch_add(1, Ordering::Relaxed);
        Ok(pause)
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Retry<W> {
    async fn infer(&self, mut request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.attempts.is_empty() {
            self.budget.request();
        }
        let goes_on = request.is_begun() && !request.attempts.is_empty();
        let mut shut = None;
        loop {
            let again = request.clone();
            let (before, started) = (again.attempts.len(), Instant::now());
            let error = match self.begin(request).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            if goes_on {
                self.note(&again, before, started, &error);
                return Err(error);
            }
            let since = *shut.get_or_insert(started);
            let pause = match self.pace.wait(since, &error, &again.context) {
                Some(pause) => pause,
                None => {
                    shut = None;
                    self.note(&again, before, started, &error);
                    self.next(&again.attempts, &error, &again.context)?
                }
            };
            tokio::time::sleep(pause).await;
            request = again;
        }
    }

    fn info(&self) -> WorkerInfo {
        self.worker.info()
    }

    fn slots(&self) -> Option<Slots> {
        self.worker.slots()
    }

    async fn health(&self) -> Health {
        self.worker.health().await
    }
}
