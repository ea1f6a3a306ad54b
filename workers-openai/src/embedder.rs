//! Vectors of `/v1/embeddings`.

use std::num::{NonZeroU32, NonZeroUsize};

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::worker::Slots;

use crate::client::Client;
use crate::wire::{Embedding, EmbeddingInput, EmbeddingRequest, EmbeddingResponse};

/// As many texts as servers take at once, without a word of the models' limits: TEI takes 32 of itself.
const BATCH: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");

/// Embeds by any server that speaks OpenAI's API. Cheap to clone.
///
/// Texts go to the server in batches of 32, one batch after the other, so that an index that is built leaves room for others.
/// Each exchange is limited by [`ClientBuilder::exchange_timeout`](crate::client::ClientBuilder::exchange_timeout). A server
/// that answers with vectors of other lengths than asked for, or with too few, is not believed. Where a worker of the server
/// has told how many [`Slots`] it has, each batch takes one, and waits for it.
///
/// # Examples
///
/// ```
/// use orchestrator_core::retrieval::Embedder;
/// use workers_openai::OpenAiEmbedder;
/// use workers_openai::client::Client;
///
/// let client = Client::builder("http://127.0.0.1:8080").build()?;
/// let embedder = OpenAiEmbedder::new(client, "nomic-embed-text");
/// assert_eq!(embedder.name(), "nomic-embed-text");
/// # Ok::<_, workers_openai::error::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OpenAiEmbedder {
    client: Client,
    model: String,
    name: String,
    dimensions: Option<NonZeroU32>,
    batch: NonZeroUsize,
    base64: bool,
}

impl OpenAiEmbedder {
    /// Embeds with a model of a server.
    pub fn new(client: Client, model: impl Into<String>) -> Self {
        let model = model.into();
        Self { client, name: model.clone(), model, dimensions: None, batch: BATCH, base64: false }
    }

    /// Asks for vectors of this length, of models that can shorten theirs. It becomes part of the embedder's name.
    #[must_use]
    pub fn dimensions(mut self, dimensions: NonZeroU32) -> Self {
        self.name = format!("{}@{dimensions}", self.model);
        self.dimensions = Some(dimensions);
        self
    }

    /// Sends so many texts at once.
    #[must_use]
    pub const fn batch(mut self, texts: NonZeroUsize) -> Self {
        self.batch = texts;
        self
    }

    /// Asks for the vectors in base64, which takes a quarter of the bytes, of servers that know it. Either form is understood.
    #[must_use]
    pub const fn base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    async fn embed_batch(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        let slots = Slots::known(self.client.server());
        let _slot = match &slots {
            Some(slots) => Some(slots.acquire().await),
            None => None,
        };
        let input = EmbeddingInput::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let mut request = EmbeddingRequest::new(&self.model, input);
        request.dimensions = self.dimensions.map(NonZeroU32::get).into();
        request.encoding_format = self.base64.then(|| "base64".to_owned()).into();
        let response: EmbeddingResponse = self.client.post_json(&self.client.route("embeddings"), &request).await?;
        let tokens = response.usage.get().and_then(|usage| usage.prompt_tokens.get().copied());
        let vectors = in_order(response.data.into_option().unwrap_or_default(), texts.len())?;
        Ok(Embedded::new(vectors).tokens(tokens))
    }

    /// All vectors have the same length, and the one that was asked for.
    fn check(&self, vectors: &[Vec<f32>]) -> Result<(), WorkerError> {
        let Some(first) = vectors.first() else { return Ok(()) };
        let asked = self.dimensions.map_or(first.len(), |dimensions| dimensions.get() as usize);
        match vectors.iter().find(|vector| vector.len() != asked || vector.is_empty()) {
            Some(odd) => Err(wrong(format!("a vector has {} numbers, and not {asked}", odd.len()))),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.embed_counted(texts).await.map(|embedded| embedded.vectors)
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        let (mut vectors, mut tokens) = (Vec::with_capacity(texts.len()), Some(0_u64));
        for batch in texts.chunks(self.batch.get()) {
            let embedded = self.embed_batch(batch).await?;
            vectors.extend(embedded.vectors);
            tokens = tokens.zip(embedded.tokens).map(|(sum, more)| sum.saturating_add(more));
        }
        self.check(&vectors)?;
        Ok(Embedded::new(vectors).tokens(tokens))
    }
}

/// Puts vectors in the order of their texts; one without an index stands where it belongs.
fn in_order(embeddings: Vec<Embedding>, texts: usize) -> Result<Vec<Vec<f32>>, WorkerError> {
    let mut vectors = vec![None; texts];
    for (place, embedding) in embeddings.into_iter().enumerate() {
        let index = embedding.index.get().map_or(place, |index| *index as usize);
        let vector = embedding.embedding.to_f32().map_err(|error| wrong(error.to_string()))?;
        match vectors.get_mut(index) {
            Some(empty @ None) => *empty = Some(vector),
            _ => return Err(wrong(format!("there are two vectors for text {index}, or no such text"))),
        }
    }
    let missing = || wrong(format!("there are not vectors for all of {texts} texts"));
    vectors.into_iter().collect::<Option<_>>().ok_or_else(missing)
}

fn wrong(what: String) -> WorkerError {
    WorkerError::new(WorkerErrorKind::Protocol, what)
}
