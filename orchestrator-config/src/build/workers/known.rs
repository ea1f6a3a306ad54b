use async_trait::async_trait;
use orchestrator_core::error::WorkerError;
use orchestrator_core::retrieval::{Embedded, Embedder};

/// An embedder whose vectors are called as the file says.
pub(super) struct Known<E> {
    pub(super) name: String,
    pub(super) embedder: E,
}

#[async_trait]
impl<E: Embedder> Embedder for Known<E> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.embedder.embed(texts).await
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.embedder.embed_counted(texts).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        self.embedder.embed_query(question).await
    }
}
