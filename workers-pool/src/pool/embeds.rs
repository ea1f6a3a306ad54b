use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::error::{Phase, WorkerError};
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::worker::Timeouts;

use crate::breaker::{BreakerConfig, Guard};

/// The embedder of a member, waited for no longer than its first token would be, and left alone while it fails.
pub(super) struct Guarded {
    embedder: Arc<dyn Embedder>,
    limit: Option<Duration>,
    guard: Guard,
}

impl Guarded {
    pub(super) fn new(member: &str, embedder: Arc<dyn Embedder>, limits: Timeouts, breaker: BreakerConfig) -> Self {
        let guard = Guard::new(format!("{member}, embedding"), breaker);
        Self { embedder, limit: limits.first_token, guard }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, WorkerError>>) -> Result<T, WorkerError> {
        self.guard.run(in_time(self.limit, call)).await
    }
}

async fn in_time<T>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, WorkerError>>,
) -> Result<T, WorkerError> {
    let Some(limit) = limit else { return call.await };
    let over = |_| Err(WorkerError::timeout(Phase::FirstToken, limit));
    tokio::time::timeout(limit, call).await.unwrap_or_else(over)
}

#[async_trait]
impl Embedder for Guarded {
    fn name(&self) -> &str {
        self.embedder.name()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.call(self.embedder.embed(texts)).await
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.call(self.embedder.embed_counted(texts)).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        self.call(self.embedder.embed_query(question)).await
    }
}
