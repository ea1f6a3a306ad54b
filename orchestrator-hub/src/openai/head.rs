use std::time::SystemTime;

use orchestrator_core::request::PromptRequest;

use super::body::Body;
use super::chunks::Chunks;
use super::logprobs::Logprobs;
use crate::fault::Fault;
use crate::gateway::{Terms, TextRoute};
use crate::ids;

/// Which of the two routes that generate text an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Completion,
}

impl Route {
    /// What the objects of a stream are called.
    pub(super) const fn chunk(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion.chunk",
            Self::Completion => "text_completion",
        }
    }
}

impl TextRoute for Route {
    type Body = Body;
    type Wording = Chunks;

    fn terms(self, body: &Body) -> Terms {
        Terms { model: body.model.clone(), user: body.user.clone(), streams: body.streams() }
    }

    fn wording(self, body: &Body, model: String) -> Chunks {
        let wants_logprobs = Logprobs::are_asked_for(&body.vendor);
        Chunks::new(self, Head::new(self, model), body.includes_usage(), wants_logprobs)
    }

    fn prompt(self, body: Body) -> Result<PromptRequest, Fault> {
        match self {
            Self::Chat => body.into_chat(),
            Self::Completion => body.into_completion(),
        }
    }
}

/// What all objects of one answer begin with.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
}

impl Head {
    /// Names an answer at random.
    pub(super) fn new(route: Route, model: String) -> Self {
        let kind = match route {
            Route::Chat => "chatcmpl-",
            Route::Completion => "cmpl-",
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { id: ids::of_answer(kind), created: since.as_secs(), model }
    }
}
