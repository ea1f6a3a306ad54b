use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::Slots;
use tokio::sync::Semaphore;
use workers_openai::client::Client;
use workers_openai::wire::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};

use crate::pin::Pins;
use crate::registry::Registry;

static TURNS: Registry<Semaphore> = Registry::new();

/// Embeds by a llama.cpp server that was started with `--embeddings`. Cheap to clone; see
/// [`LlamaCpp::embedder`](crate::LlamaCpp::embedder).
///
/// Texts go to the server one by one, over all embedders of this process, and each takes one of its slots, like a request for an
/// answer, and waits for one where all are taken. One by one because it is wrong otherwise: of texts of different lengths that
/// come together, in one request or in several, a server with slots of their own (`--parallel`, and not `--kv-unified`) pools
/// only a part of the longer ones, and says nothing.
#[derive(Clone)]
pub struct LlamaEmbedder {
    client: Client,
    model: Option<String>,
    slots: Slots,
    pins: Pins,
    /// Held by the one text that is at the server.
    turn: Arc<Semaphore>,
}

impl LlamaEmbedder {
    pub(crate) fn new(client: Client, model: Option<String>, slots: Slots, pins: Pins) -> Self {
        let turn = TURNS.of_server(client.server(), || Semaphore::new(1));
        Self { client, model, slots, pins, turn }
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>, WorkerError> {
        let _turn = self.turn.acquire().await.expect("it is never closed");
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
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(self.embed_one(text).await?);
        }
        Ok(vectors)
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
