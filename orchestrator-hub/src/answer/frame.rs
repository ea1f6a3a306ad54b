use bytes::Bytes;
use orchestrator_core::token::TokenEvent;
use serde::Deserialize;

/// What a server's frame says of the answer that it is of, where the server speaks OpenAI's dialect.
#[derive(Deserialize)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    pub(crate) object: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: Option<u64>,
    pub(crate) model: Option<String>,
}

impl Frame {
    /// Reads a frame; `None` where it is in no dialect that is known here.
    pub(crate) fn read(raw: &[u8]) -> Option<Self> {
        let mut frame: Self = serde_json::from_slice(raw).ok()?;
        frame.id = frame.id.filter(|id| !id.is_empty());
        frame.model = frame.model.filter(|model| !model.is_empty());
        let is_known = |object: &str| ["chat.completion.chunk", "text_completion"].contains(&object);
        frame.object.as_deref().is_some_and(is_known).then_some(frame)
    }
}

/// The frame in which the server sent an event.
pub(crate) fn raw(event: &TokenEvent) -> Option<&Bytes> {
    match event {
        TokenEvent::Text(delta) | TokenEvent::Reasoning(delta) => delta.raw(),
        TokenEvent::ToolCall(call) => call.raw.as_ref(),
        TokenEvent::Reset | TokenEvent::Finish(_) => None,
    }
}
