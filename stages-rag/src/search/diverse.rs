use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use orchestrator_core::error::{BoxError, InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Embedder, Passage, Query, Retriever};

/// Passages to choose from unless [`Diverse::candidates`] says otherwise.
const CANDIDATES: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not zero");

/// Chooses passages that fit the question and do not say the same thing twice.
///
/// It fetches candidates from another retriever and takes one after the other, each time the one with the most of
/// `lambda` times its likeness to the question less `1 - lambda` times its likeness to the most alike that is taken
/// already (maximal marginal relevance; Carbonell and Goldstein, SIGIR 1998). Likeness is the cosine of the vectors of an
/// [`Embedder`], which embeds the question and the candidates in every search.
///
/// With a lambda of 1 it sorts by likeness to the question; with 0 only the first is near to it. Of equal ones the
/// earlier candidate is taken. The passages keep the score that the other retriever gave them, so the scores need not
/// fall.
///
/// Place it outermost: what sorts behind it, a [`Reranked`](crate::Reranked) say, would undo the order that it chose.
///
/// # Errors
///
/// Fails with the error of the other retriever, or with the [`WorkerError`] of the embedder.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, Diverse, HashingEmbedder};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let texts = ["A full queue sheds.", "Full queues shed.", "A queue may also block."];
/// let index = Bm25Index::from_passages(texts.map(|text| Passage::new(text, Source::new(text), 0.0)))?;
/// let diverse = Diverse::new(index, Arc::new(HashingEmbedder::default())).lambda(0.4)?;
///
/// let two = NonZeroUsize::new(2).ok_or("zero")?;
/// let found = diverse.retrieve(&Query::new("What does a full queue do?", two)).await?;
/// assert_eq!(found[1].text, "A queue may also block.");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone)]
pub struct Diverse<R> {
    retriever: R,
    embedder: Arc<dyn Embedder>,
    lambda: f32,
    candidates: NonZeroUsize,
}

impl<R: Retriever> Diverse<R> {
    /// Chooses from 20 candidates of `retriever`, with a lambda of 0.5.
    pub fn new(retriever: R, embedder: Arc<dyn Embedder>) -> Self {
        Self { retriever, embedder, lambda: 0.5, candidates: CANDIDATES }
    }

    /// Sets how much being near to the question counts against being unlike the others.
    ///
    /// # Errors
    ///
    /// Fails where it is not between 0 and 1, and names `lambda`.
    pub fn lambda(mut self, lambda: f32) -> Result<Self, InvalidInput> {
        if !(0.0..=1.0).contains(&lambda) {
            return Err(InvalidInput::new("lambda", "must be between 0 and 1"));
        }
        self.lambda = lambda;
        Ok(self)
    }

    /// Sets how many passages are chosen from; at least as many as are wanted are fetched.
    #[must_use]
    pub const fn candidates(mut self, candidates: NonZeroUsize) -> Self {
        self.candidates = candidates;
        self
    }

    /// Returns the vectors of the question and of the candidates, of unit length.
    async fn embed(&self, question: &str, candidates: &[Passage]) -> Result<(Vec<f32>, Vec<Vec<f32>>), WorkerError> {
        let texts: Vec<&str> = candidates.iter().map(|passage| passage.text.as_str()).collect();
        let vectors = self.embedder.embed(&texts).await?;
        let question = self.embedder.embed_query(question).await?;
        let same_length = vectors.iter().all(|vector| vector.len() == question.len());
        if vectors.len() != texts.len() || !same_length {
            return Err(WorkerError::new(WorkerErrorKind::Protocol, "not one vector of one length for each text"));
        }
        Ok((unit(question)?, vectors.into_iter().map(unit).collect::<Result<_, _>>()?))
    }
}

/// Makes a vector of unit length; one without a direction is like no other, and stays as it is.
fn unit(vector: Vec<f32>) -> Result<Vec<f32>, WorkerError> {
    let length = vector.iter().map(|component| f64::from(*component).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(WorkerError::new(WorkerErrorKind::Protocol, "a vector is not finite"));
    }
    if length == 0.0 {
        return Ok(vector);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a component of a unit vector fits")]
    Ok(vector.into_iter().map(|component| (f64::from(component) / length) as f32).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Returns the places of the candidates that are taken, in order.
fn choose(question: &[f32], candidates: &[Vec<f32>], lambda: f32, limit: usize) -> Vec<usize> {
    let near: Vec<f32> = candidates.iter().map(|candidate| cosine(question, candidate)).collect();
    // The likeness to the most alike that is taken, kept up with each that is.
    let mut alike = vec![None::<f32>; candidates.len()];
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut taken = Vec::new();
    while taken.len() < limit && !left.is_empty() {
        let gain = |&place: &usize| lambda * near[place] - (1.0 - lambda) * alike[place].unwrap_or(0.0);
        let mut best = 0;
        for place in 1..left.len() {
            if gain(&left[place]) > gain(&left[best]) {
                best = place;
            }
        }
        let next = left.remove(best);
        for &place in &left {
            let likeness = cosine(&candidates[place], &candidates[next]);
            alike[place] = Some(alike[place].map_or(likeness, |alike| alike.max(likeness)));
        }
        taken.push(next);
    }
    taken
}

impl<R: Retriever> Retriever for Diverse<R> {
    /// The other retriever's error, or a [`WorkerError`].
    type Error = BoxError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, BoxError> {
        let wide = query.clone().limit(self.candidates.max(query.limit));
        let candidates = self.retriever.retrieve(&wide).await.map_err(Into::into)?;
        if candidates.is_empty() {
            return Ok(candidates);
        }
        let (question, vectors) = self.embed(&query.text, &candidates).await?;
        let places = choose(&question, &vectors, self.lambda, query.limit.get());
        Ok(places.into_iter().map(|place| candidates[place].clone()).collect())
    }
}

impl<R: fmt::Debug> fmt::Debug for Diverse<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diverse")
            .field("retriever", &self.retriever)
            .field("embedder", &self.embedder.name())
            .field("lambda", &self.lambda)
            .field("candidates", &self.candidates)
            .finish()
    }
}
