//! Tells when a server has an answer in mid-stream.

use prompt_orchestrator::error::WorkerError;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::token::{End, Observer};
use prompt_orchestrator::worker::{Health, Slots};
use tokio::sync::watch;

/// A worker that is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Watched<W> {
    worker: W,
    streaming: watch::Sender<usize>,
}

impl<W> Watched<W> {
    pub(crate) fn new(worker: W) -> Self {
        Self { worker, streaming: watch::Sender::new(0) }
    }

    /// How many of its answers have begun and are not over.
    pub(crate) fn streaming(&self) -> watch::Receiver<usize> {
        self.streaming.subscribe()
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Watched<W> {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let stream = self.worker.infer(request).await?;
        Ok(stream.observed(Answer { streaming: self.streaming.clone(), begun: false }))
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

struct Answer {
    streaming: watch::Sender<usize>,
    begun: bool,
}

impl Observer for Answer {
    fn begin(&mut self) {
        self.begun = true;
        self.streaming.send_modify(|count| *count += 1);
    }

    fn end(&mut self, _end: End<'_>) {
        if std::mem::take(&mut self.begun) {
            self.streaming.send_modify(|count| *count -= 1);
        }
    }
}
