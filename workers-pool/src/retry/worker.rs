use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
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
/// A **budget** keeps retries from becoming the load that they are meant to survive: at most one for five requests, and ten a
/// second beyond these. Attempts that go to another member of a pool need none. Without budget the failure is returned as it
/// is.
///
/// The error of a request that failed for good is the last one, and names all attempts in its message; each is a note in the
/// request's report, too.
///
/// A call that goes on with an answer is made once: whether another way is better than trying that one again, the fail-over
/// around it decides.
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
    meter: RetryMeter,
}

/// Reads what a [`Retry`] has done, wherever that is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RetryMeter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    retries: AtomicU64,
    unpaid: AtomicU64,
}

impl RetryMeter {
    /// Returns what it has done so far.
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        let Counts { retries, unpaid } = &*self.0;
        RetryStats { retries: retries.load(Ordering::Relaxed), out_of_budget: unpaid.load(Ordering::Relaxed) }
    }
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
        Self { worker, pace: Pace::new(), budget: Budget::share(0.2), meter: RetryMeter::default() }
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
        self.meter.stats()
    }

    /// Returns what reads the same later, when this stands inside something else.
    #[must_use]
    pub fn meter(&self) -> RetryMeter {
        self.meter.clone()
    }

    /// Asks again behind a first call that failed, until one does not or there is to be no other.
    async fn go_on(&self, request: InferenceRequest, mut failed: Failed) -> Result<TokenStream, WorkerError> {
        let goes_on = request.is_begun() && failed.before > 0;
        let mut shut = None;
        loop {
            let Failed { error, started, .. } = &failed;
            let waits =
                if goes_on { None } else { self.pace.wait(*shut.get_or_insert(*started), error, &request.context) };
            let pause = match waits {
                Some(pause) => pause,
                None => {
                    shut = None;
                    self.note(&request, &failed);
                    if goes_on {
                        return Err(failed.error);
                    }
                    self.next(&request.attempts, &failed.error, &request.context)?
                }
            };
            tokio::time::sleep(pause).await;
            let (before, started) = (request.attempts.len(), Instant::now());
            match begun(self.worker.infer(request.clone())).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = Failed { error, before, started },
            }
        }
    }

    /// Notes a failure, unless somebody below has, who knows better who it was.
    fn note(&self, request: &InferenceRequest, Failed { error, before, started }: &Failed) {
        if request.attempts.len() == *before && !error.is_unsent() {
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
            self.meter.0.unpaid.fetch_add(pause.is_some().into(), Ordering::Relaxed);
            attempt::mark_given_up(attempts);
            return Err(attempt::give_up(error.clone(), attempts));
        };
        self.meter.0.retries.fetch_add(1, Ordering::Relaxed);
        Ok(pause)
    }
}

/// A call that failed.
struct Failed {
    error: WorkerError,
    /// How many attempts had been noted when it began.
    before: usize,
    started: Instant,
}

/// Waits for the first event of a call.
async fn begun(call: BoxFuture<'_, Result<TokenStream, WorkerError>>) -> Result<TokenStream, WorkerError> {
    let mut stream = call.await?;
    match stream.peek().await {
        Some(Ok(_)) => Ok(stream),
        Some(Err(error)) => Err(error.clone()),
        None => Err(WorkerError::stream_cut()),
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Retry<W> {
    /// Written out: a future that holds the request twice costs more to move and to allocate than the rest of the call.
    fn infer<'a, 'b>(&'a self, request: InferenceRequest) -> BoxFuture<'b, Result<TokenStream, WorkerError>>
    where
        'a: 'b,
    {
        let before = request.attempts.len();
        if before == 0 {
            self.budget.request();
        }
        let (again, started) = (request.clone(), Instant::now());
        let first = self.worker.infer(request);
        Box::pin(async move {
            match begun(first).await {
                Ok(stream) => Ok(stream),
                Err(error) => Box::pin(self.go_on(again, Failed { error, before, started })).await,
            }
        })
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
