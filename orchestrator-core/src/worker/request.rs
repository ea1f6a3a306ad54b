use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::request::{Message, PromptRequest, ResponseFormat, Sampling, Tool};
use crate::retrieval::Passage;

/// What a worker is asked: assembled messages, parameters, the passages behind them, and the request's [`Context`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InferenceRequest {
    /// The conversation as the model shall see it.
    pub messages: Vec<Message>,
    /// The model asked for, where the caller named one.
    pub model: Option<Arc<str>>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// The shape of the answer.
    pub response_format: ResponseFormat,
    /// The passages that stand in the messages, the best first.
    pub passages: Arc<[Passage]>,
    /// What the caller attached; not meant for the model.
    pub metadata: BTreeMap<String, String>,
    /// The request that this call belongs to: cancellation, deadline, session, offloading.
    pub context: Context,
}

impl InferenceRequest {
    /// Turns a prompt into a call, without passages.
    #[must_use]
    pub fn new(prompt: PromptRequest, context: Context) -> Self {
        let parts = prompt.into_parts();
        Self {
            messages: parts.messages,
            model: parts.model,
            sampling: parts.sampling,
            tools: parts.tools,
            response_format: parts.response_format,
            passages: Arc::default(),
            metadata: parts.metadata,
            context,
        }
    }

    /// Returns the text of the last user message, empty where there is none.
    #[must_use]
    pub fn question(&self) -> std::borrow::Cow<'_, str> {
        crate::request::last_question(&self.messages)
    }
}
