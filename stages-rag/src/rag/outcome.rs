use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::BoxError;

/// How the search for a request's passages ended; kept with the request: `answer.context().get::<Retrieval>()`.
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, RagStage, Retrieval};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let index = Bm25Index::from_passages([Passage::new("A full queue sheds.", Source::new("queue.md"), 0.0)])?;
/// let cx = Context::standalone(RequestOptions::new());
/// RagStage::new(index).run(&cx, PromptRequest::new("Which queue sheds?")).await?;
/// assert!(matches!(cx.get::<Retrieval>().as_deref(), Some(Retrieval::Found(1))));
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Retrieval {
    /// So many passages were found.
    Found(usize),
    /// The search found nothing, or nothing of the least score.
    NothingFound,
    /// There was no text to search for.
    NotAsked,
    /// The search was given up after this time limit.
    TimedOut(Duration),
    /// The retriever failed, and the stage is [`optional`](crate::RagStage::optional).
    Failed(Arc<dyn Error + Send + Sync>),
}

impl Retrieval {
    pub(super) const fn of(found: usize) -> Self {
        if found == 0 { Self::NothingFound } else { Self::Found(found) }
    }

    pub(super) fn failed(error: BoxError) -> Self {
        Self::Failed(error.into())
    }

    /// Returns whether the documents were not searched to the end, so that nobody knows whether they hold the answer.
    #[must_use]
    pub const fn is_given_up(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Failed(_))
    }
}
