use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::worker::{Slot, Slots};
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinSet};
use workers_openai::client::Client;
use workers_openai::wire::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};

use crate::pin::Pins;
use crate::registry::Registry;

/// The one exchange that is under way at a server. Who holds the lock has the turn, once no earlier exchange is left.
type Exchange = Mutex<JoinSet<Result<EmbeddingResponse, WorkerError>>>;

static EXCHANGES: Registry<Exchange> = Registry::new();

/// Embeds by a llama.cpp server that was started with `--embeddings`. Cheap to clone; see
/// [`LlamaCpp::embedder`](crate::LlamaCpp::embedder).
///
/// Texts go to the server one by one, over all embedders of this process, and each takes one of its slots, like a request for
/// an answer, and waits for one where all are taken. One by one because it is wrong otherwise: of texts of different lengths
/// that come together, in one request or in several, a server with slots of their own (`--parallel`, and not `--kv-unified`)
/// pools only a part of the longer ones, and says nothing.
///
/// # Cancel safety
///
/// A call that is dropped is not answered, but the server does not notice and embeds its text to the end. So the exchange goes
/// on in a task, at most for the client's time limit of 60 s, and keeps slot and turn until then.
#[derive(Clone)]
pub struct LlamaEmbedder {
    client: Client,
    model: Option<String>,
    slots: Slots,
    pins: Pins,
    exchange: Arc<Exchange>,
}

impl LlamaEmbedder {
    pub(crate) fn new(client: Client, model: Option<String>, slots: Slots, pins: Pins) -> Self {
        let exchange = EXCHANGES.of_server(client.server(), || Mutex::new(JoinSet::new()));
        Self { client, model, slots, pins, exchange }
    }

    /// Embeds a text, and says how many tokens it had.
    async fn embed_one(&self, text: &str) -> Result<(Vec<f32>, Option<u64>), WorkerError> {
        let mut exchange = self.exchange.lock().await;
        // What a caller that has gone has left here.
        while exchange.join_next().await.is_some() {}
        let slot = self.slots.acquire().await;
        let request = EmbeddingRequest::new(self.name(), EmbeddingInput::Text(text.to_owned()));
        exchange.spawn(self.clone().exchange(request, slot));
        let answer = exchange.join_next().await.expect("it has just been started").unwrap_or_else(broken_off)?;
        let tokens = answer.usage.get().and_then(|usage| usage.prompt_tokens.get().copied());
        let vector = answer.data.into_option().and_then(|vectors| vectors.into_iter().next());
        let vector = vector.ok_or_else(|| wrong("the server sent no vector for a text".to_owned()))?;
        let vector = vector.embedding.to_f32().map_err(|error| wrong(error.to_string()))?;
        Ok((vector, tokens))
    }

    /// Sends a text and waits for its vector; slot and embedder are kept for as long.
    async fn exchange(self, request: EmbeddingRequest, slot: Slot) -> Result<EmbeddingResponse, WorkerError> {
        // The server chooses the slot: the route takes no number.
        let lease = self.pins.unplaced();
        let answer = self.client.post_json("/v1/embeddings", &request).await;
        drop((lease, slot));
        answer
    }
}

#[async_trait]
impl Embedder for LlamaEmbedder {
    /// Returns the model's name, as the server tells it; `llama.cpp` where it has none.
    fn name(&self) -> &str {
        self.model.as_deref().unwrap_or("llama.cpp")
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.embed_counted(texts).await.map(|embedded| embedded.vectors)
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        let (mut vectors, mut tokens) = (Vec::with_capacity(texts.len()), Some(0_u64));
        for text in texts {
            let (vector, counted) = self.embed_one(text).await?;
            vectors.push(vector);
            tokens = tokens.zip(counted).map(|(sum, more)| sum.saturating_add(more));
        }
        Ok(Embedded::new(vectors).tokens(tokens))
    }
}

/// The runtime that the exchange began in has ended, or it has panicked.
fn broken_off(why: JoinError) -> Result<EmbeddingResponse, WorkerError> {
    match why.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(why) => Err(WorkerError::new(WorkerErrorKind::Transient, why.to_string())),
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
