//! The stage that embeds texts.

use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BuildError, WorkerError};
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::stage::{ShedPolicy, Stage, StageConfig};
use orchestrator_core::tenants::Tenants;

use crate::service::{Embeddings, Texts};

/// Requests that embed at once. More than most servers have slots: these are the embedder's to wait for, and there may be more
/// of them later, when a server that was down is there.
const AT_ONCE: usize = 256;

/// Bytes of a text that are taken for a token, where the server does not count.
const BYTES_PER_TOKEN: usize = 3;

/// What a pipeline of embeddings is built of.
#[derive(Clone)]
pub(super) struct EmbedPlan {
    pub(super) name: Arc<str>,
    pub(super) embedder: Arc<dyn Embedder>,
}

impl EmbedPlan {
    /// The queue turns newcomers away when it is full. Slots are the embedder's to take, which knows how many a call needs.
    pub(super) fn build(&self, tenants: Tenants) -> Result<Pipeline<Texts, Embeddings>, BuildError> {
        let place = StageConfig::new().spawned().concurrency(AT_ONCE).shed(ShedPolicy::RejectNew);
        Pipeline::builder(&self.name).tenants(tenants).stage_with(EmbedStage(self.embedder.clone()), place).build()
    }
}

struct EmbedStage(Arc<dyn Embedder>);

impl Stage<Texts> for EmbedStage {
    type Out = Embeddings;
    type Error = WorkerError;

    async fn run(&self, _cx: &Context, texts: Texts) -> Result<Embeddings, WorkerError> {
        let borrowed: Vec<&str> = texts.0.iter().map(String::as_str).collect();
        let Embedded { vectors, tokens, .. } = self.0.embed_counted(&borrowed).await?;
        Ok(Embeddings { vectors, tokens: tokens.unwrap_or_else(|| estimated(&borrowed)) })
    }

    fn name(&self) -> &str {
        "embed"
    }
}

fn estimated(texts: &[&str]) -> u64 {
    texts.iter().map(|text| text.len().div_ceil(BYTES_PER_TOKEN) as u64).sum()
}
