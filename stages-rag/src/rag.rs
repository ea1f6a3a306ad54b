//! The retrieval stage.

use std::num::NonZeroUsize;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::request::PromptRequest;
use orchestrator_core::retrieval::{Passages, Query, Retriever};
use orchestrator_core::stage::{Stage, StageConfig};

use crate::error::IndexError;
use crate::grounded::GroundedPrompt;

/// Passages per request unless [`RagStage::top_k`] says otherwise.
const DEFAULT_TOP_K: usize = 4;

/// Finds passages for a prompt's question and puts them beside it.
///
/// The query is the text of the last user message as it stands. A prompt without one is handed on without passages,
/// and so is one for which the retriever finds nothing: neither is an error.
///
/// The passages are also kept with the request, for the caller to show: `answer.context().get::<Passages>()`.
///
/// It asks to be placed [`spawned`](StageConfig::spawned), each request in a task of its own, because a retriever may
/// wait for a server or burn CPU.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, RagStage};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let index = Bm25Index::from_passages([Passage::new("A full queue sheds.", Source::new("queue.md"), 0.0)])?;
/// let stage = RagStage::new(index).top_k(2);
///
/// let cx = Context::standalone(RequestOptions::new());
/// let grounded = stage.run(&cx, PromptRequest::new("Which queue sheds?")).await?;
/// assert_eq!(grounded.passages[0].source.document, "queue.md");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RagStage<R> {
    retriever: R,
    top_k: usize,
}

impl<R: Retriever> RagStage<R> {
    /// Searches `retriever` for up to four passages per request.
    pub const fn new(retriever: R) -> Self {
        Self { retriever, top_k: DEFAULT_TOP_K }
    }

    /// Sets how many passages a request is given at most; at least 1.
    ///
    /// With 0 the pipeline is not built, and the fault names `top_k`: leave the stage out to run without retrieval.
    #[must_use]
    pub const fn top_k(mut self, passages: usize) -> Self {
        self.top_k = passages;
        self
    }

    fn limit(&self) -> Result<NonZeroUsize, InvalidInput> {
        NonZeroUsize::new(self.top_k).ok_or_else(|| InvalidInput::new("top_k", "must be at least 1"))
    }
}

/// Lets an embedder's error end the request as what it is: overloaded, rate limited, wrong key.
fn worker_kept(error: BoxError) -> BoxError {
    match error.downcast_ref::<IndexError>().and_then(IndexError::worker_error) {
        Some(worker) => worker.clone().into(),
        None => error,
    }
}

impl<R: Retriever> Stage<PromptRequest> for RagStage<R> {
    type Out = GroundedPrompt;
    /// The retriever's own error, an [`InvalidInput`], or the [`WorkerError`](orchestrator_core::error::WorkerError) of an index's embedder.
    type Error = BoxError;

    async fn run(&self, cx: &Context, prompt: PromptRequest) -> Result<GroundedPrompt, BoxError> {
        let limit = self.limit()?;
        let question = prompt.question();
        let found = if question.trim().is_empty() {
            Vec::new()
        } else {
            self.retriever.retrieve(&Query::new(question, limit)).await.map_err(|error| worker_kept(error.into()))?
        };
        let passages: Arc<[_]> = found.into();
        cx.insert(Passages(passages.clone()));
        Ok(GroundedPrompt::new(prompt, passages))
    }

    fn name(&self) -> &str {
        "rag"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        self.limit().map(drop)
    }

    fn defaults(&self) -> StageConfig {
        StageConfig::new().spawned()
    }
}
