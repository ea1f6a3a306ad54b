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
