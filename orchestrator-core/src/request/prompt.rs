use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::error::InvalidInput;
use crate::request::{Content, Input, Message, Priority, RequestOptions, Role, Sampling, Size};
use crate::token::{BYTES_PER_TOKEN, PER_MESSAGE};

/// A function that the model may ask the caller to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The name by which the model calls it.
    pub name: String,
    /// What it does, for the model to read.
    pub description: String,
    /// JSON schema of its parameters.
    pub parameters: Value,
}

/// The shape that the answer must have.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that satisfies a schema.
    JsonSchema {
        /// Name of the schema, which some servers ask for.
        name: String,
        /// The schema itself.
        schema: Value,
    },
}

/// A question for a model: messages, parameters, tools, and how to treat the request on its way.
///
/// ```
/// use orchestrator_core::request::{Priority, PromptRequest};
///
/// let plain = PromptRequest::new("How does shedding work?");
/// let full = PromptRequest::new("And under load?")
///     .system("Answer in one sentence.")
///     .temperature(0.2)
///     .session("demo")
///     .priority(Priority::High);
/// assert_eq!(plain.question(), "How does shedding work?");
/// assert_eq!(full.messages().len(), 2);
/// ```
#[derive(Debug, Clone, Default)]
pub struct PromptRequest {
    messages: Vec<Message>,
    raw: bool,
    model: Option<Arc<str>>,
    sampling: Sampling,
    tools: Vec<Tool>,
    response_format: ResponseFormat,
    metadata: BTreeMap<String, String>,
    options: RequestOptions,
}

impl PromptRequest {
    /// Asks one question.
    pub fn new(question: impl Into<Content>) -> Self {
        Self { messages: vec![Message::user(question)], ..Self::default() }
    }

    /// Has a text gone on with, as it is: the model's chat template is not put around it.
    ///
    /// For base models, and for prompts that hold a template of their own. Further messages are joined to it, with a blank
    /// line between them.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { raw: true, ..Self::new(text.into()) }
    }

    /// Goes on with a conversation; the last message is what is to be answered.
    #[must_use]
    pub fn from_messages(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// Puts a system message in front.
    #[must_use]
    pub fn system(mut self, text: impl Into<Content>) -> Self {
        self.messages.insert(0, Message::system(text));
        self
    }

    /// Adds a message behind the others.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Names the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<Arc<str>>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Limits the answer to so many tokens.
    #[must_use]
    pub fn max_tokens(mut self, tokens: NonZeroU32) -> Self {
        self.sampling.max_tokens = Some(tokens);
        self
    }

    /// Sets the temperature, 0.0 to 2.0.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.sampling.temperature = Some(temperature);
        self
    }

    /// Sets nucleus sampling, above 0.0 up to 1.0.
    #[must_use]
    pub fn top_p(mut self, top_p: f32) -> Self {
        self.sampling.top_p = Some(top_p);
        self
    }

    /// Adds a text at which the model stops.
    #[must_use]
    pub fn stop(mut self, text: impl Into<String>) -> Self {
        self.sampling.stop.push(text.into());
        self
    }

    /// Sets the sampler's seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.sampling.seed = Some(seed);
        self
    }

    /// Sets a field of one vendor, handed on to the server as it is.
    #[must_use]
    pub fn vendor(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.sampling.vendor.insert(field.into(), value.into());
        self
    }

    /// Sets all sampling parameters at once.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Offers a tool to the model.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Asks for an answer of a certain shape.
    #[must_use]
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Attaches a fact that travels with the request and is not sent to the model.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets all options at once.
    #[must_use]
    pub fn options(mut self, options: RequestOptions) -> Self {
        self.options = options;
        self
    }

    /// Names the conversation that it belongs to.
    #[must_use]
    pub fn session(mut self, session: impl Into<Arc<str>>) -> Self {
        self.options.session = Some(session.into());
        self
    }

    /// Names the tenant on whose account it runs.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.options.tenant = Some(tenant.into());
        self
    }

    /// Sets the class in which it queues.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options.priority = priority;
        self
    }

    /// Gives the request up at `deadline`, wherever it is then.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// Gives the request up `budget` from now.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.options = self.options.within(budget);
        self
    }

    /// Takes the messages out, for stages that make others of them: without any, a prompt is not valid.
    #[must_use]
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// Returns the messages in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the text of the last user message, empty where there is none.
    #[must_use]
    pub fn question(&self) -> std::borrow::Cow<'_, str> {
        last_question(&self.messages)
    }

    /// Returns what was attached with [`metadata`](Self::metadata).
    #[must_use]
    pub const fn all_metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Takes the request apart into what an inference request is made of.
    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            messages: self.messages,
            raw: self.raw,
            model: self.model,
            sampling: self.sampling,
            tools: self.tools,
            response_format: self.response_format,
            metadata: self.metadata,
        }
    }
}

/// What of a prompt goes on to the worker.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) messages: Vec<Message>,
    pub(crate) raw: bool,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) sampling: Sampling,
    pub(crate) tools: Vec<Tool>,
    pub(crate) response_format: ResponseFormat,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The text of the last user message.
pub(crate) fn last_question(messages: &[Message]) -> std::borrow::Cow<'_, str> {
    messages.iter().rfind(|m| m.role() == Role::User).map(Message::text).unwrap_or_default()
}

/// About how many tokens messages have, with what a template writes around them.
pub(crate) fn estimated_tokens(messages: &[Message]) -> u64 {
    let text: usize = messages.iter().map(Message::bytes).sum();
    (text.div_ceil(BYTES_PER_TOKEN) + messages.len() * PER_MESSAGE) as u64
}

impl Input for PromptRequest {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }

    /// Tokens by the estimate of [`EstimatedTokens`](crate::token::EstimatedTokens).
    fn size(&self) -> Size {
        Size::Tokens {
            prompt: estimated_tokens(&self.messages),
            limit: self.sampling.max_tokens.map(|limit| u64::from(limit.get())),
            model: self.model.clone(),
        }
    }

    fn validate(&self) -> Result<(), InvalidInput> {
        let says_something = |part: &Content| part.as_text().is_none_or(|text| !text.trim().is_empty());
        if !self.messages.iter().any(|message| message.parts().iter().any(says_something)) {
            return Err(InvalidInput::new("messages", "must hold some text"));
        }
        if self.tools.iter().any(|t| t.name.is_empty()) {
            return Err(InvalidInput::new("tools", "must all have a name"));
        }
        self.sampling.validate()
    }
}

impl From<&str> for PromptRequest {
    fn from(question: &str) -> Self {
        Self::new(question)
    }
}

impl From<String> for PromptRequest {
    fn from(question: String) -> Self {
        Self::new(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_without_text_is_refused_by_name() {
        for empty in [PromptRequest::new(""), PromptRequest::new(" \n"), PromptRequest::from_messages([])] {
            assert_eq!(empty.validate().expect_err("empty").field(), "messages");
        }
        assert!(PromptRequest::new("x").validate().is_ok());
    }

    #[test]
    fn the_question_is_the_last_user_message() {
        let request = PromptRequest::from_messages([
            Message::user("first"),
            Message::assistant("reply"),
            Message::user("second"),
        ]);
        assert_eq!(request.question(), "second");
    }
}
