use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::request::{Message, PromptRequest, Role};
use orchestrator_core::retrieval::{Passage, Passages};
use orchestrator_core::stage::Stage;
use orchestrator_core::token::TokenCounter;
use orchestrator_core::worker::InferenceRequest;

use crate::assemble::budget::{Budget, Fitted};
use crate::assemble::draft::{Draft, StageText, shared};
use crate::assemble::templates::{Part, Templates};
use crate::grounded::GroundedPrompt;
use crate::memory::{Asked, Recollection, SessionKey, SessionStore, recall};
use crate::rag::Retrieval;

/// The system text in front of passages.
pub(super) const GROUNDED: &str = "Answer the question from the numbered passages below. \
     Cite the passages that you use by their numbers, like [2]. \
     If they do not answer the question, say so.";

/// The system text where retrieval found nothing.
pub(super) const NOTHING_FOUND: &str =
    "The documents hold no passage that fits the question. Say so, and do not guess.";

/// The system text where retrieval was given up, or no passage fits into the budget.
pub(super) const NOT_CONSULTED: &str = "The documents could not be consulted this time. \
     If the answer depends on them, say so, and do not guess.";

/// The system text where nothing was retrieved and the caller has set none.
pub(super) const PLAIN: &str = "Answer the question. If you do not know the answer, say so.";

/// Writes the messages that the model sees.
///
/// The first message is a system message. It holds, in this order, separated by blank lines:
///
/// 1. the system messages that the caller put in front of the conversation;
/// 2. the stage's text, see [`system`](Self::system);
/// 3. the passages, numbered from 1, each under a line with its source: `[1] guide.md:3-9 (Overload > Shedding)`.
///
/// That is one message since many chat templates take a single system message and only in front, and what stays the
/// same from request to request comes first since servers reuse the common beginning of two prompts. All other messages
/// follow as they are; the question stays the last user message.
///
/// Behind a [`RagStage`](crate::RagStage) the passages are also handed on as data, in
/// [`InferenceRequest::passages`], and what the request keeps as [`Passages`] is brought in line with their numbers.
///
/// # Templates
///
/// Each part can be written by a template in the language of Jinja, which is compiled when it is set. What is wrong with it
/// is a fault of the pipeline's [`BuildError`](orchestrator_core::error::BuildError) that names the template and the
/// line; a variable that the template does not see is such a fault.
///
/// | template | writes | sees |
/// |---|---|---|
/// | [`system_template`](Self::system_template) | the system message; none where it writes nothing | `system`, `context`, `passages`, `turns`, `question` |
/// | [`context_template`](Self::context_template) | `context`, where there are passages | `passages`, `turns`, `question` |
/// | [`history_template`](Self::history_template) | each message of the earlier turns; left out where it writes nothing | `role`, `text` |
/// | [`question_template`](Self::question_template) | the last user message | `question`, `context`, `passages`, `turns` |
///
/// - `system` is the text that would stand there without a template, up to the passages; `context` the numbered passages;
///   `question` the text of the last user message.
/// - `passages` are the passages that are kept, the best first, each with `number`, `source` (as above), `document`,
///   `headings`, `lines` (`3-9`), `page`, `text`, `score` and `metadata`; lines and page are none where they are not known.
/// - `turns` are the earlier turns that are kept, the oldest first, each a list of messages with `role` and `text`.
/// - All see `session` and `tenant`, which may be none, and `metadata`, what the caller attached to its request.
///
/// Where the question's template uses `context` or `passages`, they stand in the question and not in the system message.
/// What is not text in a message stays. What callers and documents say is data: braces in it are printed as they are. Nothing
/// is escaped. A value that is not there fails the request with a [`TemplateError`](crate::TemplateError); write
/// `{{ metadata.name | default("you") }}` for what may be missing.
///
/// # Budget
///
/// With a [`budget`](Self::budget) the prompt never has more tokens than that, by the given
/// [`counter`](Self::counter). Kept are, in this order:
///
/// 1. the system text, the tools, and the turn that is to be answered, always;
/// 2. the newest of the earlier turns, whole and without a gap; a turn is a user message with all that follows it up to the
///    next one, so that no tool's result loses its call;
/// 3. the best passages, without a gap.
///
/// What was left out is noted in the report and kept with the request as [`Assembly`](crate::Assembly). System messages
/// within the conversation belong to the turn that they stand in or right in front of. Tool calls are counted as their
/// text; pictures are not counted, since what they take depends on the model.
///
/// # Errors
///
/// A request fails with an [`InvalidInput`] that names `messages` where its system text and its question alone are more
/// than the budget; with a [`TemplateError`](crate::TemplateError); and with the counter's own
/// [`WorkerError`](orchestrator_core::error::WorkerError).
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::{AssembleStage, GroundedPrompt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let source = Source::new("queue.md").lines(3, 4);
/// let passages = vec![Passage::new("A full queue sheds.", source, 1.0)];
/// let grounded = GroundedPrompt::new(PromptRequest::new("What sheds?"), passages);
///
/// let cx = Context::standalone(RequestOptions::new());
/// let request = AssembleStage::default().system("Answer in one word.").run(&cx, grounded).await?;
/// assert_eq!(
///     request.messages[0].text(),
///     "Answer in one word.\n\nPassages:\n\n[1] queue.md:3-4\nA full queue sheds."
/// );
/// assert_eq!(request.question(), "What sheds?");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone, Default)]
pub struct AssembleStage {
    system: Option<Arc<str>>,
    templates: Arc<Templates>,
    budget: Budget,
    memory: Option<Arc<dyn SessionStore>>,
}

impl AssembleStage {
    /// Sets the stage's text, with and without passages; no template, it stands as it is.
    ///
    /// Unless set, the model is told to answer from the passages and to cite their numbers; where retrieval found
    /// nothing, to say so; where the documents could not be searched or no passage fits into the budget, not to guess; and
    /// without retrieval, to say so if it does not know, unless the caller has a system message of its own.
    #[must_use]
    pub fn system(mut self, text: impl Into<Arc<str>>) -> Self {
        self.system = Some(text.into());
        self
    }

    /// Sets the template of the system message: see [Templates](Self#templates).
    #[must_use]
    pub fn system_template(self, source: impl Into<String>) -> Self {
        self.template(Part::System, source.into())
    }

    /// Sets the template of the passages: see [Templates](Self#templates).
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    /// use stages_rag::{AssembleStage, GroundedPrompt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let stage = AssembleStage::default()
    ///     .context_template("{% for p in passages %}<{{ p.number }} from={{ p.document }}>{{ p.text }}{% endfor %}")
    ///     .question_template("{{ context }}\n\n{{ question }}");
    ///
    /// let passages = vec![Passage::new("A full queue sheds.", Source::new("queue.md"), 1.0)];
    /// let grounded = GroundedPrompt::new(PromptRequest::new("What sheds?"), passages);
    /// let request = stage.run(&Context::standalone(RequestOptions::new()), grounded).await?;
    /// assert_eq!(request.question(), "<1 from=queue.md>A full queue sheds.\n\nWhat sheds?");
    /// # Ok::<_, BoxError>(())
    /// # })?;
    /// # Ok::<_, BoxError>(())
    /// ```
    #[must_use]
    pub fn context_template(self, source: impl Into<String>) -> Self {
        self.template(Part::Context, source.into())
    }

    /// Sets the template of each message of the earlier turns: see [Templates](Self#templates).
    #[must_use]
    pub fn history_template(self, source: impl Into<String>) -> Self {
        self.template(Part::History, source.into())
    }

    /// Sets the template of the last user message: see [Templates](Self#templates).
    #[must_use]
    pub fn question_template(self, source: impl Into<String>) -> Self {
        self.template(Part::Question, source.into())
    }

    /// Limits the prompt to so many tokens: see [Budget](Self#budget). At least 1, or the pipeline is not built.
    ///
    /// What the model is to answer has to fit into its context as well: a model of 8,192 tokens that may write 1,024 has
    /// 7,168 for the prompt.
    #[must_use]
    pub const fn budget(mut self, tokens: usize) -> Self {
        self.budget.tokens = Some(tokens);
        self
    }

    /// Limits the earlier turns to so many tokens, so that a long conversation leaves room for passages.
    ///
    /// It counts for turns that the caller sends as well as for those of a [`memory`](Self::memory), and also without a
    /// [`budget`](Self::budget).
    #[must_use]
    pub const fn history_budget(mut self, tokens: usize) -> Self {
        self.budget.history = Some(tokens);
        self
    }

    /// Sets who counts the tokens of a budget;
    /// [`EstimatedTokens`](orchestrator_core::token::EstimatedTokens) unless set.
    #[must_use]
    pub fn counter(mut self, counter: impl TokenCounter) -> Self {
        self.budget.counter = Arc::new(counter);
        self
    }

    /// Puts the earlier turns of the request's session in front of its own messages.
    ///
    /// It does so where the request names a session and its messages are those of a user (and system messages): a request
    /// with an answer or a tool's result among them brings its conversation along, and the memory is left out of it. The
    /// turns count as history for a budget. Put a [`RememberStage`](crate::RememberStage) behind inference to fill the
    /// store; what a failing one does to requests is said at [`SessionStore`].
    #[must_use]
    pub fn memory(mut self, store: impl SessionStore) -> Self {
        self.memory = Some(Arc::new(store));
        self
    }

    fn template(mut self, part: Part, source: String) -> Self {
        Arc::make_mut(&mut self.templates).set(part, source);
        self
    }

    fn settings(&self) -> Result<(), InvalidInput> {
        self.templates.check()?;
        self.budget.check()
    }

    /// Assembles a prompt, with passages where there was retrieval.
    async fn assemble(
        &self,
        cx: &Context,
        mut prompt: PromptRequest,
        passages: Option<Arc<[Passage]>>,
    ) -> Result<InferenceRequest, BoxError> {
        self.settings()?;
        let messages = prompt.take_messages();
        let mut request = InferenceRequest::new(prompt, cx.clone());
        let text = self.text(cx, &messages, passages.as_deref());
        let remembered = self.recall(cx, &messages).await;
        let shared = if self.templates.is_empty() { Arc::default() } else { shared(cx, &request.metadata) };
        let found = passages.clone().unwrap_or_default();
        let mut draft = Draft::new(&self.templates, text, messages, found, shared);
        if let Some(turns) = remembered {
            draft.remember(&turns);
        }
        let draft = Arc::new(draft);
        let Fitted { keep, written, history, tokens } = self.fit(cx, &draft, &request).await?;
        if let Some(mut passages) = passages {
            if keep.passages < passages.len() {
                passages = passages[..keep.passages].into();
            }
            // A stage in between may have chosen among what retrieval found.
            cx.insert(Passages(passages.clone()));
            request.passages = passages;
        }
        request.prompt_tokens = tokens.map(|tokens| tokens as u64);
        request.messages = Arc::unwrap_or_clone(draft).into_messages(keep, written, history).into();
        Ok(request)
    }

    async fn fit(&self, cx: &Context, draft: &Arc<Draft>, request: &InferenceRequest) -> Result<Fitted, BoxError> {
        if self.budget.is_set() {
            return self.budget.fit(cx, draft, &request.tools).await;
        }
        let keep = draft.all();
        let history = draft.run(cx, Draft::write_history).await??;
        let written = draft.run(cx, move |draft| draft.write(keep)).await??;
        Ok(Fitted { keep, written, history, tokens: None })
    }

    /// The earlier turns; says what is to be remembered of this one.
    async fn recall(&self, cx: &Context, messages: &[Message]) -> Option<Arc<[crate::memory::Turn]>> {
        let memory = self.memory.as_ref()?;
        match recall(cx, &**memory, messages).await {
            Recollection::Turns(turns) => {
                let own = messages.iter().filter(|m| m.role() != Role::System).cloned().collect();
                cx.insert(Asked(SessionKey::of(cx).map(|key| (key, own))));
                Some(turns)
            }
            Recollection::NoSession | Recollection::OwnConversation => {
                cx.insert(Asked(None));
                None
            }
        }
    }

    fn text(&self, cx: &Context, messages: &[Message], passages: Option<&[Passage]>) -> StageText {
        if let Some(own) = &self.system {
            let text: Cow<'static, str> = Cow::Owned(own.to_string());
            return StageText { text: text.clone(), without_room: text };
        }
        let callers_own = messages.first().is_some_and(|m| m.role() == Role::System);
        let given_up = || cx.get::<Retrieval>().is_some_and(|retrieval| retrieval.is_given_up());
        let text = match passages {
            None if callers_own => "",
            None => PLAIN,
            Some([]) if given_up() => NOT_CONSULTED,
            Some([]) => NOTHING_FOUND,
            Some(_) => GROUNDED,
        };
        StageText { text: Cow::Borrowed(text), without_room: Cow::Borrowed(NOT_CONSULTED) }
    }
}

impl Stage<PromptRequest> for AssembleStage {
    type Out = InferenceRequest;
    /// An [`InvalidInput`], a [`TemplateError`](crate::TemplateError) or a
    /// [`WorkerError`](orchestrator_core::error::WorkerError).
    type Error = BoxError;

    async fn run(&self, cx: &Context, prompt: PromptRequest) -> Result<InferenceRequest, BoxError> {
        self.assemble(cx, prompt, None).await
    }

    fn name(&self) -> &str {
        "assemble"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        self.settings()
    }
}

impl Stage<GroundedPrompt> for AssembleStage {
    type Out = InferenceRequest;
    /// As without passages.
    type Error = BoxError;

    async fn run(&self, cx: &Context, grounded: GroundedPrompt) -> Result<InferenceRequest, BoxError> {
        let GroundedPrompt { prompt, passages } = grounded;
        self.assemble(cx, prompt, Some(passages)).await
    }

    fn name(&self) -> &str {
        "assemble"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        self.settings()
    }
}

impl fmt::Debug for AssembleStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssembleStage")
            .field("system", &self.system)
            .field("budget", &self.budget.tokens)
            .field("history_budget", &self.budget.history)
            .finish_non_exhaustive()
    }
}
