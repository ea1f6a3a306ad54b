use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};

use super::course::Course;
use super::stream::FailingOver;
use crate::Pace;
use crate::retry::Budget;

/// Goes on with an answer when its stream dies: the reader sees one answer, of which each token is there once.
///
/// Stands outside of whatever chooses another worker for the next call: `FailOver` around `Retry` around `Pool`. Around one
/// worker alone it asks that one again.
///
/// # What follows from a failure
///
/// The first of these that can be done:
///
/// | what the reader has | what is done |
/// |---|---|
/// | nothing but events without text | the request is asked again as it was |
/// | text, and the inner worker [continues](WorkerInfo::continues) | it is asked to go on [behind](InferenceRequest::prefix) that ([`Resume::Continue`]) |
/// | anything, and it understands [`Reset`](orchestrator_core::token::TokenEvent::Reset) | `Reset`, and the answer from its beginning ([`resets`](Self::resets)) |
/// | anything | the stream fails, with the error by which the answer broke off or did not begin anew; its message tells what was tried |
///
/// Where going on fails, too, before it has begun, and nobody else can, a reader that understands `Reset` gets the answer from
/// its beginning; for any other it is tried again. A worker that refuses to go on, as an invalid request, is not asked that
/// again, but the other members of a pool are. Such a refusal is an attempt like others.
///
/// An answer is never continued under a grammar, a schema or another given form, with tools in the request, or once a piece of
/// a tool call or of reasoning was delivered. What is left of [`max_tokens`](orchestrator_core::request::Sampling) is what the
/// next call may add; where nothing is left the answer ends there, with
/// [`Length`](orchestrator_core::token::FinishReason::Length).
///
/// Invalid requests, content filters and the time limit of the whole answer end it, and so does a context that is full behind
/// the first token. So does a [`Retry`](crate::Retry) inside that has given up before the reader has anything. How soon and how
/// often it is asked again is the [`Pace`]'s, over all attempts of the request, and the same budget keeps calls that go to
/// nobody else from becoming a load as for a [`Retry`](crate::Retry). Before the next call the stream that died is dropped, and
/// with it its connection and slot.
///
/// # The seam
///
/// By token ids the next call goes on exactly where the last one broke off, and bytes that a server held back are generated
/// again. Ids are used where all deltas had them, and only for the model that began. Else the text is gone on with, whose last
/// token may be another one then. The prefix names the model, so that a pool finds one that has it. Penalties and seeds start
/// anew behind the seam; a stop text that lies across it ends the answer, though no server sees the whole of it.
///
/// # Usage
///
/// That of the answer as the reader has it. What was delivered before the seam is completion, and not part of the prompt,
/// though the last server read it there. Where the ids are not known each delta counts as one token, here and against
/// `max_tokens`; servers that put several into one may exceed it by as many. Where an answer ends at the seam its prompt is as
/// it was [counted or estimated](InferenceRequest::estimated_prompt_tokens) before. Answers that were void are not counted:
/// they stand among the [failed](orchestrator_core::token::Origin::failed) attempts.
///
/// # Cancel safety
///
/// Dropping the future or the stream, also in a pause between calls, drops all that is behind it.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::testing::{MockWorker, Script};
/// use workers_pool::FailOver;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let is_first = AtomicBool::new(true);
/// let answer = Script::answering("to be or not");
/// let worker = MockWorker::with(move |_| match is_first.swap(false, Ordering::Relaxed) {
///     true => answer.clone().cut_after(2),
///     false => answer.clone(),
/// });
/// let pipeline = Pipeline::builder("test")
///     .stage(InferenceStage::new(FailOver::new(worker).resets(true)))
///     .stage(StreamStage::default())
///     .build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("?")).await?;
/// let mut text = String::new();
/// while let Some(event) = answer.next().await {
///     match event? {
///         TokenEvent::Reset => text.clear(),
///         event => text.push_str(event.text()),
///     }
/// }
/// assert_eq!(text, "to be or not");
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
/// ```
pub struct FailOver<W> {
    worker: Arc<W>,
    how: How,
}

/// How an answer is resumed of which the reader has some text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Resume {
    /// Behind what was delivered, where the request, the answer so far and the worker allow it.
    #[default]
    Continue,
    /// From its beginning only.
    Restart,
}

/// What a [`FailOver`] was told.
#[derive(Debug, Clone)]
pub(super) struct How {
    pub(super) resume: Resume,
    pub(super) resets: bool,
    pub(super) pace: Pace,
    pub(super) budget: Arc<Budget>,
}

impl<W: ModelWorker> FailOver<W> {
    /// Puts it around a worker: it [continues](Resume::Continue), and takes nothing back.
    pub fn new(worker: W) -> Self {
        let budget = Arc::new(Budget::share(0.2));
        let how = How { resume: Resume::default(), resets: false, pace: Pace::new(), budget };
        Self { worker: Arc::new(worker), how }
    }

    /// Says how an answer is resumed of which the reader has some text.
    #[must_use]
    pub fn resume(mut self, resume: Resume) -> Self {
        self.how.resume = resume;
        self
    }

    /// Sets how many attempts a request may make in all, and how far apart.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.how.pace = pace;
        self
    }

    /// Says whether all readers understand [`Reset`](orchestrator_core::token::TokenEvent::Reset): everything so far is void.
    /// The reader of a single request says so by [its options](orchestrator_core::request::RequestOptions::resets).
    ///
    /// It comes with the first event of the new answer, so that the reader keeps what it has while there is none.
    #[must_use]
    pub fn resets(mut self, understands: bool) -> Self {
        self.how.resets = understands;
        self
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for FailOver<W> {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.attempts.is_empty() {
            self.how.budget.request();
        }
        let mut how = self.how.clone();
        how.resets |= request.context.options().resets;
        let course = Course::new(self.worker.clone(), how, request.clone());
        let (course, stream) = course.begin(request).await?;
        let relay = course.relay();
        Ok(relay.around(FailingOver::new(course, stream)))
    }

    fn info(&self) -> WorkerInfo {
        self.worker.info()
    }

    fn slots(&self) -> Option<Slots> {
        self.worker.slots()
    }

    async fn health(&self) -> Health {
        self.worker.health().await
    }
}

impl<W> Clone for FailOver<W> {
    fn clone(&self) -> Self {
        Self { worker: self.worker.clone(), how: self.how.clone() }
    }
}

impl<W: ModelWorker> fmt::Debug for FailOver<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailOver").field("worker", &self.worker.info()).field("how", &self.how).finish()
    }
}
