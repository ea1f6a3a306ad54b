use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::request::{PromptRequest, Role};
use orchestrator_core::retrieval::{Filter, Passage, Passages, Query, Retriever};
use orchestrator_core::stage::{Stage, StageConfig};

use crate::error::IndexError;
use crate::grounded::GroundedPrompt;
use crate::memory::{Recollection, SessionStore, recall};
use crate::rag::Retrieval;

/// Passages per request unless [`RagStage::top_k`] says otherwise.
const DEFAULT_TOP_K: usize = 4;

type MakeQuery = dyn Fn(&PromptRequest) -> String + Send + Sync;
type MakeFilter = dyn Fn(&Context, &PromptRequest) -> Filter + Send + Sync;

/// Finds passages for a prompt's question and puts them beside it.
///
/// The query is the text of the last user message as it stands, unless [`query`](Self::query) makes another one. A prompt
/// without one is handed on without passages, and so is one for which the retriever finds nothing: neither is an error.
///
/// The passages are also kept with the request, for the caller to show: `answer.context().get::<Passages>()`. How the
/// search ended is kept as [`Retrieval`]; a search that was given up is noted in the report as well.
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
#[derive(Clone)]
pub struct RagStage<R> {
    retriever: R,
    top_k: usize,
    min_score: Option<f32>,
    time_limit: Option<Duration>,
    optional: bool,
    query: Option<Arc<MakeQuery>>,
    filter: Option<Arc<MakeFilter>>,
    memory: Option<Arc<dyn SessionStore>>,
}

impl<R: Retriever> RagStage<R> {
    /// Searches `retriever` for up to four passages per request.
    pub const fn new(retriever: R) -> Self {
        Self {
            retriever,
            top_k: DEFAULT_TOP_K,
            min_score: None,
            time_limit: None,
            optional: false,
            query: None,
            filter: None,
            memory: None,
        }
    }

    /// Sets how many passages a request is given at most; at least 1.
    ///
    /// With 0 the pipeline is not built, and the fault names `top_k`: leave the stage out to run without retrieval.
    #[must_use]
    pub const fn top_k(mut self, passages: usize) -> Self {
        self.top_k = passages;
        self
    }

    /// Leaves out passages whose score is lower; a finite number, or the pipeline is not built.
    ///
    /// What a score means is the retriever's business, and so is what is a good one: look at some first.
    #[must_use]
    pub const fn min_score(mut self, score: f32) -> Self {
        self.min_score = Some(score);
        self
    }

    /// Gives the search up after `limit`; above zero, or the pipeline is not built.
    ///
    /// The request then goes on without passages, the report says so, and the model is told by
    /// [`AssembleStage`](crate::AssembleStage) that the documents could not be searched. The retriever's future is
    /// dropped. To fail the request instead, place the stage with
    /// [`StageConfig::timeout`](orchestrator_core::stage::StageConfig::timeout).
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Lets a request go on without passages where the retriever fails; unless set, that fails the request.
    ///
    /// The report names the error, [`Retrieval::Failed`] holds it.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Makes the query from the prompt; one without text searches for nothing.
    ///
    /// For questions that say little by themselves: see [`last_two_questions`]. What comes out may be as long as one
    /// likes, but most retrievers read only its beginning.
    #[must_use]
    pub fn query(mut self, query: impl Fn(&PromptRequest) -> String + Send + Sync + 'static) -> Self {
        self.query = Some(Arc::new(query));
        self
    }

    /// Lets [`query`](Self::query) see the turns that a session's memory holds, in front of the caller's messages.
    ///
    /// Give it the store that [`AssembleStage::memory`](crate::AssembleStage::memory) is given: it is asked once for both.
    /// Without a query function it has no use.
    #[must_use]
    pub fn memory(mut self, store: impl SessionStore) -> Self {
        self.memory = Some(Arc::new(store));
        self
    }

    /// Lets only those passages count that a filter accepts, which is made for each request.
    ///
    /// The retriever applies it before it takes the best ones, so that what is rejected takes nobody's place. What a
    /// retriever returns all the same, against the filter or beyond [`top_k`](Self::top_k), is left out.
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    /// use stages_rag::{Bm25Index, RagStage};
    ///
    /// # let index = Bm25Index::from_passages([])?;
    /// let own_documents = RagStage::new(index).filter(|cx, _prompt| match cx.tenant() {
    ///     Some(tenant) => Filter::is("tenant", tenant),
    ///     None => Filter::is("tenant", "public"),
    /// });
    /// # Ok::<_, stages_rag::IndexError>(())
    /// ```
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&Context, &PromptRequest) -> Filter + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    fn settings(&self) -> Result<NonZeroUsize, InvalidInput> {
        if self.min_score.is_some_and(|score| !score.is_finite()) {
            return Err(InvalidInput::new("min_score", "must be a finite number"));
        }
        if self.time_limit.is_some_and(|limit| limit.is_zero()) {
            return Err(InvalidInput::new("time_limit", "must be above zero"));
        }
        NonZeroUsize::new(self.top_k).ok_or_else(|| InvalidInput::new("top_k", "must be at least 1"))
    }

    /// The text to search for.
    async fn question(&self, cx: &Context, prompt: &PromptRequest) -> String {
        let Some(query) = &self.query else { return prompt.question().into_owned() };
        match &self.memory {
            Some(memory) => match recall(cx, &**memory, prompt.messages()).await {
                Recollection::Turns(turns) if !turns.is_empty() => {
                    let earlier = turns.iter().flat_map(|turn| turn.messages());
                    let whole = PromptRequest::from_messages(earlier.chain(prompt.messages()).cloned());
                    let facts = prompt.all_metadata().iter();
                    query(&facts.fold(whole, |whole, (key, value)| whole.metadata(key, value)))
                }
                _ => query(prompt),
            },
            None => query(prompt),
        }
    }

    async fn search(&self, cx: &Context, query: &Query) -> Result<(Vec<Passage>, Retrieval), BoxError> {
        let search = self.retriever.retrieve(query);
        let found = match self.time_limit {
            None => search.await,
            Some(limit) => match tokio::time::timeout(limit, search).await {
                Ok(found) => found,
                Err(_) => {
                    cx.note(format!("went on without passages: the search took longer than {limit:?}"));
                    return Ok((Vec::new(), Retrieval::TimedOut(limit)));
                }
            },
        };
        match found.map_err(Into::into) {
            Ok(mut found) => {
                // Whose text it is must not depend on every retriever's care.
                found.retain(|passage| query.filter.accepts(&passage.metadata));
                found.truncate(query.limit.get());
                if let Some(least) = self.min_score {
                    found.retain(|passage| passage.score >= least);
                }
                let outcome = Retrieval::of(found.len());
                Ok((found, outcome))
            }
            Err(error) if self.optional => {
                cx.note(format!("went on without passages: the search failed: {error}"));
                Ok((Vec::new(), Retrieval::failed(error)))
            }
            Err(error) => Err(worker_kept(error)),
        }
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
    /// The retriever's own error, an [`InvalidInput`], or the
    /// [`WorkerError`](orchestrator_core::error::WorkerError) of an index's embedder.
    type Error = BoxError;

    async fn run(&self, cx: &Context, prompt: PromptRequest) -> Result<GroundedPrompt, BoxError> {
        let limit = self.settings()?;
        let question = self.question(cx, &prompt).await;
        let (found, outcome) = if question.trim().is_empty() {
            (Vec::new(), Retrieval::NotAsked)
        } else {
            let query = Query::new(question, limit);
            let query = match &self.filter {
                Some(filter) => query.filter(filter(cx, &prompt)),
                None => query,
            };
            self.search(cx, &query).await?
        };
        let passages: Arc<[_]> = found.into();
        cx.insert(Passages(passages.clone()));
        cx.insert(outcome);
        Ok(GroundedPrompt::new(prompt, passages))
    }

    fn name(&self) -> &str {
        "rag"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        self.settings().map(drop)
    }

    fn defaults(&self) -> StageConfig {
        StageConfig::new().spawned()
    }
}

impl<R> fmt::Debug for RagStage<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RagStage")
            .field("top_k", &self.top_k)
            .field("min_score", &self.min_score)
            .field("time_limit", &self.time_limit)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

/// Makes a query of the last two user messages, the older one first: for [`RagStage::query`].
///
/// "And how long does that take?" finds nothing by itself; together with the question before it does.
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::last_two_questions;
///
/// let chat = PromptRequest::from_messages([
///     Message::user("May I return goods?"),
///     Message::assistant("Yes."),
///     Message::user("How long?"),
/// ]);
/// assert_eq!(last_two_questions(&chat), "May I return goods?\nHow long?");
/// ```
#[must_use]
pub fn last_two_questions(prompt: &PromptRequest) -> String {
    let mut questions = prompt.messages().iter().rev().filter(|m| m.role() == Role::User);
    match (questions.next(), questions.next()) {
        (Some(last), Some(before)) => format!("{}\n{}", before.text(), last.text()),
        (Some(only), None) => only.text().into_owned(),
        (None, _) => String::new(),
    }
}
