use std::sync::Arc;

use async_trait::async_trait;

use crate::error::WorkerError;

/// Turns texts into vectors whose closeness is closeness of meaning.
///
/// # What an implementation owes
///
/// - One vector for each text, in order, all of the same length, which never changes.
/// - The same [`name`](Self::name) as long as the vectors are comparable, another one when they are not: an index refuses
///   vectors of another name than those that it holds.
///
/// It may be called with any number of texts; it splits them into as many requests as its server wants.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Returns what makes its vectors comparable: the model and its settings.
    fn name(&self) -> &str;

    /// Embeds texts that are to be found.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or does not take the texts.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError>;

    /// Embeds texts that are to be found, and says how many tokens they had, where the server tells; nobody counts unless this
    /// is implemented.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed).
    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.embed(texts).await.map(Embedded::new)
    }

    /// Embeds a question; some models want it marked as such.
    ///
    /// # Errors
    ///
    /// As [`embed`](Self::embed).
    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        let vectors = self.embed(&[question]).await?;
        vectors.into_iter().next().ok_or_else(|| {
            WorkerError::new(crate::error::WorkerErrorKind::Protocol, "no vector came back for the question")
        })
    }
}

/// What texts were embedded to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Embedded {
    /// One vector for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of the texts, where the server has told.
    pub tokens: Option<u64>,
}

impl Embedded {
    /// Keeps vectors of texts whose tokens nobody has counted.
    #[must_use]
    pub const fn new(vectors: Vec<Vec<f32>>) -> Self {
        Self { vectors, tokens: None }
    }

    /// Says how many tokens the texts had, where that is known.
    #[must_use]
    pub fn tokens(mut self, tokens: impl Into<Option<u64>>) -> Self {
        self.tokens = tokens.into();
        self
    }
}

/// So that whoever takes an embedder takes one that others use, too.
#[async_trait]
impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        (**self).embed(texts).await
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        (**self).embed_counted(texts).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        (**self).embed_query(question).await
    }
}
