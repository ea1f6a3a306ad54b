use std::sync::Arc;

use orchestrator_core::request::{Content, Message};
use orchestrator_core::worker::InferenceRequest;

/// What a request asks of the member that takes it.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    pub(super) model: Option<Arc<str>>,
    pub(super) prompt_tokens: u64,
    pub(super) max_tokens: Option<u64>,
    pub(super) tools: bool,
    pub(super) images: bool,
    pub(super) begun: Option<Begun>,
}

/// The beginning of an answer that is to be gone on with.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) model: Option<String>,
    /// Whether its text is there; else there are only the ids of its tokens.
    pub(super) has_text: bool,
}

impl Needs {
    pub(super) fn of(request: &InferenceRequest) -> Self {
        let begun = request.prefix.as_ref().filter(|_| request.is_begun());
        Self {
            model: request.model.clone(),
            prompt_tokens: request.estimated_prompt_tokens(),
            max_tokens: request.sampling.max_tokens.map(|limit| u64::from(limit.get())),
            tools: !request.tools.is_empty(),
            images: request.messages.iter().flat_map(Message::parts).any(|part| matches!(part, Content::Image(_))),
            begun: begun.map(|prefix| Begun { model: prefix.model.clone(), has_text: !prefix.text.is_empty() }),
        }
    }

    /// Tokens of prompt and answer, as far as they are known.
    pub(super) fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.max_tokens.unwrap_or(0))
    }
}
