//! The stage: which filters an answer runs through.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::retrieval::Passage;
use orchestrator_core::stage::{Stage, StageConfig};
use orchestrator_core::token::TokenStream;

use crate::asides::Asides;
use crate::chain::Chain;
use crate::checks::{Checks, Decision};
use crate::citations::{self, Cite};
use crate::filter::TextFilter;
use crate::limit::MaxBytes;
use crate::map::MapText;
use crate::reasoning::{ReasoningTags, Split, Splitter};
use crate::redact::{Redact, Redaction, Rules};
use crate::stop::{self, Stop};
use crate::stream::FilteredStream;
use crate::trim::Trim;

/// Makes a filter for a request.
type Maker = Arc<dyn Fn(&Context) -> Box<dyn TextFilter> + Send + Sync>;

/// The stage that filters the text of an answer while it streams, and checks the whole of it at the end.
///
/// The filters run in the order in which they were added, in the task of whoever pulls the stream; the checks behind them.
/// Without any, the stream is handed on as it came. Settings that cannot be used are reported when the pipeline is built,
/// and fail every request of a stage that is called by hand.
///
/// # What becomes of the events
///
/// | event | what happens |
/// |---|---|
/// | text that no filter changes | goes on untouched, with its token ids and its raw frame |
/// | text that a filter changes | goes on without ids and frame, which no longer say the same |
/// | text of which nothing is left | does not go on; neither does a delta that came without text |
/// | reasoning, a piece of a tool call | goes on at once, also ahead of text that is held back; a redaction covers it, and holds it by itself |
/// | a reset | goes on; every filter forgets what it holds |
/// | the terminal event | goes on behind what the filters still held, which makes an event of its own for each kind |
/// | text with which a filter ends the answer | goes on as far as the filter says, with a terminal event behind it; the worker's stream is dropped |
/// | an error, or an end without terminal event | goes on; what the filters held is dropped, as the answer is not whole |
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_post::PostStage;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let pipeline = Pipeline::builder("assistant")
///     .then("echo", |_cx, prompt: PromptRequest| async move {
///         let question = prompt.question().into_owned();
///         Ok::<_, BoxError>(TokenStream::generate(async move |mut out| {
///             for piece in ["\n ", &question, " ", "\n"] {
///                 out.text(piece).await;
///             }
///             out.finish(FinishReason::Stop, Usage::default()).await;
///             Ok(())
///         }))
///     })
///     .stage(PostStage::new().trim().map_text(|text| text.replace('?', "!").into()))
///     .stage(StreamStage::default())
///     .build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("ready?")).await?;
/// assert_eq!(answer.text().await?, "ready!");
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct PostStage {
    makers: Vec<Maker>,
    /// What is redacted, in reasoning and tool calls as well.
    covering: Arc<[Arc<Rules>]>,
    splitter: Option<Splitter>,
    checks: Checks,
    /// Settings that cannot be used.
    faults: Vec<InvalidInput>,
}

impl PostStage {
    /// Makes a stage without filters and checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes white space in front of the answer and behind it.
    ///
    /// White space behind a piece of text comes out together with the next piece. No more than 1,024 bytes of it are held: of a
    /// longer run at the answer's end the beginning stays. White space in front of the answer is never held.
    pub fn trim(self) -> Self {
        self.filter(Trim::default)
    }

    /// Ends the answer where one of the sequences is complete for the first time; of several that end there the longest one.
    ///
    /// The sequence itself is not delivered, the finish reason is `Stop`. Text is held back only while it may be the beginning
    /// of a sequence. An empty list, or a sequence without text, is reported when the pipeline is built.
    pub fn stop_sequences<S: Into<String>>(mut self, sequences: impl IntoIterator<Item = S>) -> Self {
        let sequences: Vec<String> = sequences.into_iter().map(Into::into).collect();
        match stop::compile(&sequences) {
            Ok(sequences) => self.filter(move || Stop::new(sequences.clone())),
            Err(fault) => {
                self.faults.push(fault);
                self
            }
        }
    }

    /// Ends an answer that gets longer than `limit` bytes with the last whole character that fits; the finish reason is then
    /// `Length`.
    ///
    /// Zero is reported when the pipeline is built.
    pub fn max_bytes(mut self, limit: usize) -> Self {
        if limit == 0 {
            self.faults.push(InvalidInput::new("max_bytes", "must be above zero"));
            return self;
        }
        self.filter(move || MaxBytes::new(limit))
    }

    /// Takes secrets and personal data out of the answer, its reasoning, and the arguments of its tool calls.
    ///
    /// Each of these kinds of text is looked at by itself, each tool call too; what is held of one kind comes out with more of
    /// that kind, or at the end. The ids and the names in a tool call are left as they are. A pattern that cannot be used is
    /// reported when the pipeline is built.
    ///
    /// Add it ahead of [`max_bytes`](Self::max_bytes) and [`stop_sequences`](Self::stop_sequences): behind them it sees only
    /// what they leave of a secret that they cut.
    #[expect(clippy::needless_pass_by_value, reason = "nobody needs the builder afterwards")]
    pub fn redact(mut self, redaction: Redaction) -> Self {
        match redaction.compile() {
            Ok(rules) => {
                let rules = Arc::new(rules);
                self.covering = self.covering.iter().cloned().chain([rules.clone()]).collect();
                self.makers.push(Arc::new(move |_| Box::new(Redact::new(rules.clone()))));
            }
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// Makes reasoning of what stands between `<think>` and `</think>`; the tags are not delivered.
    ///
    /// Runs ahead of all filters, wherever it is called. A block that is not closed is reasoning up to the answer's end.
    pub fn split_reasoning(self) -> Self {
        self.split_reasoning_with(ReasoningTags::default())
    }

    /// As [`split_reasoning`](Self::split_reasoning), with other tags, or for answers that begin inside of a block.
    ///
    /// Empty tags are reported when the pipeline is built.
    #[expect(clippy::needless_pass_by_value, reason = "nobody needs the tags afterwards")]
    pub fn split_reasoning_with(mut self, tags: ReasoningTags) -> Self {
        match tags.compile() {
            Ok(splitter) => self.splitter = Some(splitter),
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// Replaces marks like `[1]` and `[2, 3]` by what `link` makes of each number and its passage.
    ///
    /// The numbers count the request's [`Passages`](orchestrator_core::retrieval::Passages) from 1; of a number without
    /// passage `link` is given `None`. Where it returns `None`, the mark stays; an empty text drops it. A mark of
    /// several numbers becomes the links of each, one behind the other. What was cited is kept with the request, as
    /// [`Citations`](crate::Citations).
    ///
    /// ```
    /// use stages_post::PostStage;
    ///
    /// let post = PostStage::new().citations(|number, passage| {
    ///     let document = &passage?.source.document;
    ///     Some(format!("[{number}]({document})"))
    /// });
    /// # drop(post);
    /// ```
    pub fn citations<F>(mut self, link: F) -> Self
    where
        F: Fn(usize, Option<&Passage>) -> Option<String> + Send + Sync + 'static,
    {
        match citations::compile() {
            Ok(marks) => {
                let link = Arc::new(link);
                self.makers.push(Arc::new(move |cx| Box::new(Cite::new(marks.clone(), link.clone(), cx))));
            }
            Err(fault) => self.faults.push(fault),
        }
        self
    }

    /// Maps each piece of text by itself; an empty result drops the piece.
    ///
    /// A piece is what the worker sent, not a word or a line: a closure that looks for anything longer than one
    /// character misses what is split between two pieces. Use [`filter`](Self::filter) for that. A result that reads
    /// as the piece did leaves the event untouched, borrowed or not; borrow to save the allocation.
    pub fn map_text<F>(self, map: F) -> Self
    where
        F: Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
    {
        let map = Arc::new(map);
        self.filter(move || MapText(map.clone()))
    }

    /// Adds a filter; `make` makes a new one for each request.
    ///
    /// A `make` that chooses among several kinds returns `Box<dyn TextFilter>`.
    pub fn filter<F, M>(mut self, make: M) -> Self
    where
        F: TextFilter,
        M: Fn() -> F + Send + Sync + 'static,
    {
        self.makers.push(Arc::new(move |_| Box::new(make())));
        self
    }

    /// Has a function decide on the whole answer before any of it is delivered.
    ///
    /// It is given the answer's text, as the filters leave it, and sees neither reasoning nor the arguments of tool calls,
    /// which a pass delivers as well.
    ///
    /// The answer is held until it is decided, with its reasoning and its tool calls, which may say the same: callers see
    /// nothing of it before. [`Decision::Pass`] delivers the events as they were; [`Decision::Refuse`] none of them, and the
    /// finish reason `ContentFilter`; [`Decision::Replace`] another text in place of all of them. What was decided stands in
    /// the terminal event's [`checks`](orchestrator_core::token::Finish::checks) under `name`. Several checks run in order,
    /// each on the text that the one before leaves.
    ///
    /// An answer that outgrows [`check_limit`](Self::check_limit) is refused at once, and the worker's stream dropped.
    ///
    /// # Errors
    ///
    /// An error of `decide` fails the request, and nothing is delivered: a
    /// [`WorkerError`](orchestrator_core::error::WorkerError) keeps its kind, any other is this stage's error.
    ///
    /// # Cancel safety
    ///
    /// `decide` is dropped at its next await when the request is cancelled or its deadline passes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use stages_post::{Decision, PostStage};
    ///
    /// let post = PostStage::new().decide("no-advice", |_cx, text: String| async move {
    ///     let decision = if text.contains("you should sue") {
    ///         Decision::Refuse("legal advice".to_owned())
    ///     } else {
    ///         Decision::Pass
    ///     };
    ///     Ok::<_, Infallible>(decision)
    /// });
    /// # drop(post);
    /// ```
    pub fn decide<F, Fut, E>(mut self, name: impl Into<Cow<'static, str>>, decide: F) -> Self
    where
        F: Fn(Context, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Decision, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.checks.add_deciding(name.into(), decide);
        self
    }

    /// Checks at the end whether the answer's text is JSON that fits a schema.
    ///
    /// The text streams on meanwhile; what was found stands in the terminal event's
    /// [`checks`](orchestrator_core::token::Finish::checks) under `json-schema`: passed, failed with up to 8 faults, each with
    /// a JSON pointer into the answer, or skipped, where the answer calls tools, was refused, or outgrew
    /// [`check_limit`](Self::check_limit). Runs behind all filters and behind every [`decide`](Self::decide), so on what is
    /// delivered. Answers above 8 KiB are validated on the pool for CPU-bound jobs.
    ///
    /// A schema that cannot be used, as it is not valid or refers to another document, is reported when the pipeline is built.
    #[cfg(feature = "json-schema")]
    pub fn json_schema(mut self, schema: &serde_json::Value) -> Self {
        if let Err(fault) = self.checks.add_schema(schema) {
            self.faults.push(fault);
        }
        self
    }

    /// Sets how much of an answer is gathered for checks, in bytes; 1 MiB unless set.
    ///
    /// For a [`decide`](Self::decide) text, reasoning, arguments of tool calls and raw frames count, and what each event takes
    /// in memory beside them; for a JSON schema the text. Zero is reported when the pipeline is built.
    pub fn check_limit(mut self, bytes: usize) -> Self {
        if bytes == 0 {
            self.faults.push(InvalidInput::new("check_limit", "must be above zero"));
        }
        self.checks.limit = bytes;
        self
    }

    fn filtered(&self, cx: &Context, stream: TokenStream) -> TokenStream {
        if self.makers.is_empty() && self.splitter.is_none() {
            return stream;
        }
        let chain = Chain::new(self.makers.iter().map(|make| make(cx)).collect());
        let split = self.splitter.as_ref().map(Split::new);
        let asides = Asides::new(self.covering.clone());
        TokenStream::in_stage(cx, FilteredStream::new(stream, split, chain, asides))
    }
}

impl Stage<TokenStream> for PostStage {
    type Out = TokenStream;
    /// A fault of the settings, or what a [`decide`](PostStage::decide) returned.
    type Error = BoxError;

    async fn run(&self, cx: &Context, stream: TokenStream) -> Result<TokenStream, BoxError> {
        Stage::check(self)?;
        let stream = self.filtered(cx, stream);
        self.checks.run(cx, stream).await
    }

    fn name(&self) -> &str {
        "post"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        let Some((first, others)) = self.faults.split_first() else { return Ok(()) };
        let Some(more) = others.iter().map(ToString::to_string).reduce(|all, one| all + "; " + &one) else {
            return Err(first.clone());
        };
        let own = first.to_string().replacen(&format!("`{}` ", first.field()), "", 1);
        Err(InvalidInput::new(first.field(), format!("{own}; {more}")))
    }

    /// Inline: it only wraps a stream. Spawned, where a [`decide`](PostStage::decide) waits for the whole of it. Its depth,
    /// where it is placed with a queue, is 1,024.
    fn defaults(&self) -> StageConfig {
        let config = StageConfig::new().depth(1024);
        if self.checks.decides() { config.spawned() } else { config.inline() }
    }
}

impl fmt::Debug for PostStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostStage")
            .field("filters", &self.makers.len())
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_inline_and_has_a_depth_for_when_it_is_not() {
        let defaults = format!("{:?}", PostStage::new().defaults());
        assert_eq!(defaults, format!("{:?}", StageConfig::new().inline().depth(1024)));
    }
}
