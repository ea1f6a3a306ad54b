use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::request::{Message, PromptRequest, ResponseFormat, Sampling, Tool};
use crate::retrieval::Passage;
use crate::worker::{Attempts, Lease};

/// What a worker is asked: assembled messages, parameters, the passages behind them, and the request's [`Context`].
///
/// Clones share what is long, so that a request can be kept for a second attempt at little cost, however long its prompt is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InferenceRequest {
    /// The conversation as the model shall see it.
    pub messages: Arc<[Message]>,
    /// Whether the text of the messages is the prompt as it is, without the model's chat template: see
    /// [`raw_prompt`](Self::raw_prompt).
    pub raw: bool,
    /// What there is of the answer already. The worker goes on behind it, and its stream holds only what is new. A prefix
    /// without text and ids is none.
    ///
    /// Only for workers that say that they [`continue`](crate::worker::WorkerInfo::continues):
    /// [`InferenceStage`](crate::worker::InferenceStage) refuses it for the others, and a worker that hands requests on to
    /// another owes the same, as that one would answer from the beginning.
    pub prefix: Option<Prefix>,
    /// The model asked for, where the caller named one.
    pub model: Option<Arc<str>>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Tools that the model may call.
    pub tools: Arc<[Tool]>,
    /// The shape of the answer.
    pub response_format: ResponseFormat,
    /// The passages that stand in the messages, the best first.
    pub passages: Arc<[Passage]>,
    /// What the caller attached; not meant for the model.
    pub metadata: BTreeMap<String, String>,
    /// Tokens of the prompt, where somebody has counted them.
    pub prompt_tokens: Option<u64>,
    /// What stands behind the slot that was taken for this call: see [`Lease`].
    pub lease: Lease,
    /// What failed before, for the same request.
    pub attempts: Attempts,
    /// The request that this call belongs to: cancellation, deadline, session, offloading.
    pub context: Context,
}

impl InferenceRequest {
    /// Turns a prompt into a call, without passages.
    #[must_use]
    pub fn new(prompt: PromptRequest, context: Context) -> Self {
        let parts = prompt.into_parts();
        Self {
            messages: parts.messages.into(),
            raw: parts.raw,
            prefix: None,
            model: parts.model,
            sampling: parts.sampling,
            tools: parts.tools.into(),
            response_format: parts.response_format,
            passages: Arc::default(),
            metadata: parts.metadata,
            prompt_tokens: None,
            lease: Lease::default(),
            attempts: Attempts::default(),
            context,
        }
    }

    /// Returns whether there is something of the answer already.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.prefix.as_ref().is_some_and(|prefix| !prefix.text.is_empty() || !prefix.token_ids.is_empty())
    }

    /// Returns how many tokens the prompt has: as counted, or else estimated by its length, without pictures and tools.
    #[must_use]
    pub fn estimated_prompt_tokens(&self) -> u64 {
        self.prompt_tokens.unwrap_or_else(|| crate::request::estimated_tokens(&self.messages))
    }

    /// Returns the prompt where it is to be gone on with as it is, `None` where a chat template goes around the messages.
    #[must_use]
    pub fn raw_prompt(&self) -> Option<Cow<'_, str>> {
        match (self.raw, &*self.messages) {
            (false, _) => None,
            (true, [only]) => Some(only.text()),
            (true, messages) => {
                let texts: Vec<_> = messages.iter().map(Message::text).filter(|text| !text.is_empty()).collect();
                Some(texts.join("\n\n").into())
            }
        }
    }

    /// Returns the text of the last user message, empty where there is none.
    #[must_use]
    pub fn question(&self) -> Cow<'_, str> {
        crate::request::last_question(&self.messages)
    }
}

/// The beginning of an answer that another call is to go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prefix {
    /// Its text.
    pub text: String,
    /// The ids of its tokens, all of them or none; a server that takes them goes on exactly where the first call was.
    pub token_ids: Vec<u32>,
    /// The model that began it, where it is known: another one has other ids.
    pub model: Option<String>,
}

impl Prefix {
    /// Makes a prefix of which only the text is known.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), token_ids: Vec::new(), model: None }
    }

    /// Adds the ids of all its tokens.
    #[must_use]
    pub fn token_ids(mut self, ids: Vec<u32>) -> Self {
        self.token_ids = ids;
        self
    }

    /// Names the model that began it.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RequestOptions;

    #[test]
    fn a_clone_shares_what_is_long() {
        let prompt = PromptRequest::new("?").tool(Tool {
            name: "weather".to_owned(),
            description: String::new(),
            parameters: serde_json::Value::Null,
        });
        let request = InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()));
        let clone = request.clone();
        assert!(Arc::ptr_eq(&request.messages, &clone.messages) && Arc::ptr_eq(&request.tools, &clone.tools));
        assert_eq!((clone.messages.len(), clone.tools.len()), (1, 1));
    }
}
