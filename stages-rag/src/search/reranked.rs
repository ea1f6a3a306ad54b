use std::future::Future;
use std::num::NonZeroUsize;

use orchestrator_core::error::{BoxError, WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Passage, Query, Retriever};

/// Passages to score unless [`Reranked::candidates`] says otherwise.
const CANDIDATES: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not zero");

/// Scores passages by how well they answer a question, looking at both together: a cross-encoder, or a model that is asked.
///
/// # What an implementation owes
///
/// One score for each passage, in order, the higher the better, and none that is not a number.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use orchestrator_core::prelude::*;
/// use stages_rag::Reranker;
///
/// /// Prefers short passages.
/// struct Brevity;
///
/// impl Reranker for Brevity {
///     type Error = Infallible;
///
///     async fn rerank(&self, _question: &str, passages: &[Passage]) -> Result<Vec<f32>, Infallible> {
///         Ok(passages.iter().map(|passage| 1.0 / (1.0 + passage.text.len() as f32)).collect())
///     }
/// }
/// ```
pub trait Reranker: Send + Sync + 'static {
    /// What can go wrong.
    type Error: Into<BoxError>;

    /// Scores passages for a question.
    fn rerank(
        &self,
        question: &str,
        passages: &[Passage],
    ) -> impl Future<Output = Result<Vec<f32>, Self::Error>> + Send;
}

/// Fetches candidates from another retriever, scores them anew and keeps the best.
///
/// Equal ones stay in the order of the other retriever. The scores are those of the [`Reranker`].
///
/// Place it around whatever finds well and sorts badly, a [`Hybrid`](crate::Hybrid) above all, and inside of
/// [`Diverse`](crate::Diverse), which chooses from what is sorted already.
///
/// # Errors
///
/// Fails with the error of the other retriever or of the reranker, and with a [`WorkerError`] of kind
/// [`Protocol`](WorkerErrorKind::Protocol) where that gives too few scores, too many, or one that is not a number.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use std::num::NonZeroUsize;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, Reranked, Reranker};
///
/// struct Brevity;
///
/// impl Reranker for Brevity {
///     type Error = Infallible;
///
///     async fn rerank(&self, _question: &str, passages: &[Passage]) -> Result<Vec<f32>, Infallible> {
///         Ok(passages.iter().map(|passage| 1.0 / (1.0 + passage.text.len() as f32)).collect())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let texts = ["A full queue sheds and sheds and sheds.", "A queue may shed."];
/// let index = Bm25Index::from_passages(texts.map(|text| Passage::new(text, Source::new(text), 0.0)))?;
/// let found = Reranked::new(index, Brevity).retrieve(&Query::new("What sheds?", NonZeroUsize::MIN)).await?;
/// assert_eq!(found[0].text, "A queue may shed.");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reranked<R, S> {
    retriever: R,
    reranker: S,
    candidates: NonZeroUsize,
}

impl<R: Retriever, S: Reranker> Reranked<R, S> {
    /// Scores 20 candidates of `retriever`.
    pub const fn new(retriever: R, reranker: S) -> Self {
        Self { retriever, reranker, candidates: CANDIDATES }
    }

    /// Sets how many passages are scored; at least as many as are wanted are fetched.
    #[must_use]
    pub const fn candidates(mut self, candidates: NonZeroUsize) -> Self {
        self.candidates = candidates;
        self
    }
}

impl<R: Retriever, S: Reranker> Retriever for Reranked<R, S> {
    /// The error of the other retriever or of the reranker, or a [`WorkerError`].
    type Error = BoxError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, BoxError> {
        let wide = query.clone().limit(self.candidates.max(query.limit));
        let mut found = self.retriever.retrieve(&wide).await.map_err(Into::into)?;
        if found.is_empty() {
            return Ok(found);
        }
        let scores = self.reranker.rerank(&query.text, &found).await.map_err(Into::into)?;
        if scores.len() != found.len() || scores.iter().any(|score| score.is_nan()) {
            let problem = format!("{} scores, each a number, were due, and {scores:?} came", found.len());
            return Err(WorkerError::new(WorkerErrorKind::Protocol, problem).into());
        }
        found.iter_mut().zip(scores).for_each(|(passage, score)| passage.score = score);
        // Stable, so equal ones stay in order.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(query.limit.get());
        Ok(found)
    }
}
