use std::fmt;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::Slots;
use workers_openai::client::Client;
use workers_openai::wire::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};

use crate::pin::Pins;

/// Embeds by a llama.cpp server that was started with `--embeddings`. Cheap to clone; see
/// [`LlamaCpp::embedder`](crate::LlamaCpp::embedder).
///
/// Each text takes one of the server's slots, like a request for an answer, and waits for one where all are taken; so texts are
/// embedded side by side as far as there are slots, and the server never has more to do than it can.
#[derive(Clone)]
pub struct LlamaEmbedder {
    client: Client,
    model: Option<String>,
    slots: Slots,
    pins: Pins,
}

impl LlamaEmbedder {
    pub(crate) const fn new(client: Client, model: Option<String>, slots: Slots, pins: Pins) -> Self {
        Self { client, model, slots, pins }
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>, WorkerError> {
        let _slot = self.slots.acquire().await;
        // The server chooses the slot: the route takes no number.
        let _lease = self.pins.unplaced();
        let request = EmbeddingRequest::new(self.name(), EmbeddingInput::Text(text.to_owned()));
        let answer: EmbeddingResponse = self.client.post_json("/v1/embeddings", &request).await?;
        let vector = answer.data.into_option().and_then(|vectors| vectors.into_iter().next());
        let vector = vector.ok_or_else(|| wrong("the server sent no vector for a text".to_owned()))?;
        vector.embedding.to_f32().map_err(|error| wrong(error.to_string()))
    }
}

#[async_trait]
impl Embedder for LlamaEmbedder {
    /// Returns the model's name, as the server tells it; `llama.cpp` where it has none.
    fn name(&self) -> &str {
        self.model.as_deref().unwrap_or("llama.cpp")
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        let calls: Vec<_> = texts.iter().map(|text| self.embed_one(text)).collect();
        stream::iter(calls).buffered(self.slots.total()).try_collect().await
    }
}

fn wrong(what: String) -> WorkerError {
    WorkerError::new(WorkerErrorKind::Protocol, what)
}

impl fmt::Debug for LlamaEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaEmbedder")
            .field("model", &self.model)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
