use std::future::Future;
use std::sync::Arc;

use orchestrator_core::error::WorkerError;

use super::config::BreakerConfig;
use super::worker::Shared;

/// A circuit breaker around calls that are over when they return, and take no slots.
pub(crate) struct Guard(Arc<Shared>);

impl Guard {
    pub(crate) fn new(name: String, config: BreakerConfig) -> Self {
        Self(Arc::new(Shared::new(name, config, None)))
    }

    /// Makes a call, and counts how it goes. One that is dropped on its way says nothing.
    ///
    /// # Errors
    ///
    /// Those of the call; [`Overloaded`](orchestrator_core::error::WorkerErrorKind::Overloaded), with the time until the next
    /// one may be made, where this one was not.
    pub(crate) async fn run<T>(&self, call: impl Future<Output = Result<T, WorkerError>>) -> Result<T, WorkerError> {
        let admitted = self.0.admit(None)?;
        let answer = call.await;
        match &answer {
            Ok(_) => admitted.answered(),
            Err(error) => admitted.failed(error),
        }
        answer
    }
}
