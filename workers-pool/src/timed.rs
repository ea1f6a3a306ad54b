use async_trait::async_trait;
use futures_util::future::BoxFuture;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, Timeouts, WorkerInfo};

/// Limits how long a worker is waited for, phase by phase.
///
/// The limits of a request, where its caller set some, go before these; see [`Timeouts`]. Workers of HTTP servers do this
/// themselves: this is for those that don't, and for one member of a pool that shall have other limits. Of two limits around
/// each other the tighter one holds.
///
/// Inside of everything else: a breaker, a retry and a pool learn from it in which phase a worker was too slow.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::testing::{MockWorker, Script};
/// use orchestrator_core::worker::Timeouts;
/// use workers_pool::Timed;
///
/// let worker = MockWorker::new(Script::answering("to be"));
/// let timed = Timed::new(worker, Timeouts::default().first_token(Duration::from_secs(5)));
/// ```
#[derive(Debug, Clone)]
pub struct Timed<W> {
    worker: W,
    limits: Timeouts,
}

impl<W: ModelWorker> Timed<W> {
    /// Puts limits around a worker.
    pub const fn new(worker: W, limits: Timeouts) -> Self {
        Self { worker, limits }
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Timed<W> {
    /// Written out: without limits the call is that of the worker, and costs nothing more.
    fn infer<'a, 'b>(&'a self, request: InferenceRequest) -> BoxFuture<'b, Result<TokenStream, WorkerError>>
    where
        'a: 'b,
    {
        let limits = self.limits.of(&request.context);
        let call = self.worker.infer(request);
        if limits == Timeouts::none() { call } else { Box::pin(limits.run(call)) }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orchestrator_core::error::{Phase, WorkerErrorKind};
    use orchestrator_core::prelude::*;
    use orchestrator_core::testing::{MockWorker, Script};

    use super::*;

    async fn failure(options: RequestOptions) -> WorkerErrorKind {
        let script = Script::new().delay(Duration::from_secs(3)).streaming().text("late").finish();
        let limits = Timeouts::none().first_token(Duration::from_secs(2));
        let request = InferenceRequest::new("?".into(), Context::standalone(options));
        Timed::new(MockWorker::new(script), limits).infer(request).await.expect_err("it takes too long").kind()
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_says_nothing_is_given_up() {
        assert_eq!(failure(RequestOptions::new()).await, WorkerErrorKind::Timeout(Phase::FirstToken));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_limits_around_each_other_the_shorter_one_counts() {
        let ms = Duration::from_millis;
        let script = || Script::new().streaming().text("a").delay(Duration::from_secs(3)).text("b").finish();
        for (inner, outer, ends) in [(2_000, 4_000, Some(2_000)), (4_000, 2_000, Some(2_000)), (4_000, 4_000, None)] {
            let limits = |limit| Timeouts::none().between_tokens(ms(limit));
            let worker = Timed::new(Timed::new(MockWorker::new(script()), limits(inner)), limits(outer));
            let request = InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()));
            let mut stream = worker.infer(request).await.expect("begins");
            let started = tokio::time::Instant::now();
            let mut failed = None;
            while let Some(event) = stream.next().await {
                failed = event.err();
            }
            let failed = failed.map(|error| (error.kind(), started.elapsed()));
            let phase = WorkerErrorKind::Timeout(Phase::BetweenTokens);
            assert_eq!(failed, ends.map(|after| (phase, ms(after))), "{inner} in {outer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_limits_of_the_request_go_before() {
        let own = RequestOptions::new().timeouts(Timeouts::none().total(Duration::from_secs(1)));
        assert_eq!(failure(own).await, WorkerErrorKind::Timeout(Phase::Total));
    }
}
