//! The stage: which filters an answer runs through.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::stage::{Stage, StageConfig};
use orchestrator_core::token::TokenStream;

use crate::chain::Chain;
use crate::filter::TextFilter;
use crate::map::MapText;
use crate::stream::FilteredStream;
use crate::trim::Trim;

/// The stage that filters the text of an answer while it streams.
///
/// The filters run in the order in which they were added, in the task of whoever pulls the stream. Without any, the
/// stream is handed on as it came.
///
/// # What becomes of the events
///
/// | event | what happens |
/// |---|---|
/// | text that no filter changes | goes on untouched, with its token ids and its raw frame |
/// | text that a filter changes | goes on without ids and frame, which no longer say the same |
/// | text of which nothing is left | does not go on; neither does a delta that came without text |
/// | reasoning, a piece of a tool call | goes on at once, also ahead of text that is held back |
/// | a reset | goes on; every filter forgets what it holds |
/// | the terminal event | goes on behind what the filters still held, which makes a text event of its own |
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
    makers: Vec<Arc<dyn Fn() -> Box<dyn TextFilter> + Send + Sync>>,
}

impl PostStage {
    /// Makes a stage without filters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes white space in front of the answer and behind it.
    ///
    /// White space behind a piece of text comes out together with the next piece.
    pub fn trim(self) -> Self {
        self.filter(Trim::default)
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
        self.makers.push(Arc::new(move || Box::new(make())));
        self
    }
}

impl Stage<TokenStream> for PostStage {
    type Out = TokenStream;
    type Error = Infallible;

    async fn run(&self, cx: &Context, stream: TokenStream) -> Result<TokenStream, Infallible> {
        if self.makers.is_empty() {
            return Ok(stream);
        }
        let filters = self.makers.iter().map(|make| make()).collect();
        Ok(TokenStream::in_stage(cx, FilteredStream::new(stream, Chain::new(filters))))
    }

    fn name(&self) -> &str {
        "post"
    }

    /// Inline: it only wraps a stream. Its depth, where it is placed with a queue, is 1,024.
    fn defaults(&self) -> StageConfig {
        StageConfig::new().inline().depth(1024)
    }
}

impl fmt::Debug for PostStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostStage").field("filters", &self.makers.len()).finish_non_exhaustive()
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
