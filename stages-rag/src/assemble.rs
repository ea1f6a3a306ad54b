//! The assembly stage: from a prompt and its passages to the messages that the model sees.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::request::{Message, PromptRequest, Role};
use orchestrator_core::retrieval::{Passage, Passages};
use orchestrator_core::stage::Stage;
use orchestrator_core::worker::InferenceRequest;

use crate::grounded::GroundedPrompt;

/// The system text in front of passages.
const GROUNDED: &str = "Answer the question from the numbered passages below. \
     Cite the passages that you use by their numbers, like [2]. \
     If they do not answer the question, say so.";

/// The system text where retrieval found nothing.
const NOTHING_FOUND: &str = "The documents hold no passage that fits the question. Say so, and do not guess.";

/// The system text where nothing was retrieved and the caller has set none.
const PLAIN: &str = "Answer the question. If you do not know the answer, say so.";

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
#[derive(Debug, Clone, Default)]
pub struct AssembleStage {
    system: Option<Arc<str>>,
}

impl AssembleStage {
    /// Sets the stage's text, with and without passages.
    ///
    /// Unless set, the model is told to answer from the passages and to cite their numbers; where retrieval found
    /// nothing, to say so; and without retrieval, to say so if it does not know, unless the caller has a system message
    /// of its own.
    #[must_use]
    pub fn system(mut self, text: impl Into<Arc<str>>) -> Self {
        self.system = Some(text.into());
        self
    }
}

impl Stage<PromptRequest> for AssembleStage {
    type Out = InferenceRequest;
    type Error = Infallible;

    async fn run(&self, cx: &Context, prompt: PromptRequest) -> Result<InferenceRequest, Infallible> {
        let mut request = InferenceRequest::new(prompt, cx.clone());
        let callers_own = request.messages.first().is_some_and(|m| m.role() == Role::System);
        match self.system.as_deref() {
            Some(text) => put_in_front(&mut request.messages, text),
            None if callers_own => put_in_front(&mut request.messages, ""),
            None => put_in_front(&mut request.messages, PLAIN),
        }
        Ok(request)
    }

    fn name(&self) -> &str {
        "assemble"
    }
}

impl Stage<GroundedPrompt> for AssembleStage {
    type Out = InferenceRequest;
    type Error = Infallible;

    async fn run(&self, cx: &Context, grounded: GroundedPrompt) -> Result<InferenceRequest, Infallible> {
        let GroundedPrompt { prompt, passages } = grounded;
        let mut request = InferenceRequest::new(prompt, cx.clone());
        let default = if passages.is_empty() { NOTHING_FOUND } else { GROUNDED };
        let text = self.system.as_deref().unwrap_or(default);
        put_in_front(&mut request.messages, &with_passages(text, &passages));
        // A stage in between may have chosen among what retrieval found.
        cx.insert(Passages(passages.clone()));
        request.passages = passages;
        Ok(request)
    }

    fn name(&self) -> &str {
        "assemble"
    }
}

/// Joins the leading system messages and `text` into one.
fn put_in_front(messages: &mut Vec<Message>, text: &str) {
    let leading = messages.iter().take_while(|m| m.role() == Role::System).count();
    let mut system = String::new();
    for message in messages.drain(..leading) {
        add_paragraph(&mut system, &message.text());
    }
    add_paragraph(&mut system, text);
    if !system.is_empty() {
        messages.insert(0, Message::system(system));
    }
}

fn add_paragraph(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// Sets the numbered passages behind the system text.
fn with_passages(text: &str, passages: &[Passage]) -> String {
    let mut out = text.to_owned();
    if !passages.is_empty() {
        add_paragraph(&mut out, "Passages:");
    }
    for (number, passage) in (1..).zip(passages) {
        write!(out, "\n\n[{number}] {}\n{}", passage.source, passage.text).expect("a string takes any text");
    }
    out
}

#[cfg(test)]
mod tests;
