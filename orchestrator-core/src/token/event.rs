use bytes::Bytes;
use compact_str::CompactString;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::token::Check;
use crate::worker::Attempt;

/// One event of an answer.
///
/// A stream holds any number of deltas and then exactly one [`TokenEvent::Finish`], or an error. One event is not
/// one token: servers coalesce tokens and hold back split characters, so tokens are counted from [`Usage`] only.
///
/// The enum is exhaustive on purpose: a filter that forgets an event is wrong, and the compiler should say so.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenEvent {
    /// A piece of the answer's text.
    Text(TextDelta),
    /// A piece of the model's reasoning, which is not part of the answer.
    Reasoning(TextDelta),
    /// A piece of a tool call.
    ToolCall(Box<ToolCallDelta>),
    /// Everything delivered so far is void: another worker starts the answer again.
    Reset,
    /// The end of the answer.
    Finish(Finish),
}

impl TokenEvent {
    /// Makes a text delta.
    pub fn text_delta(text: impl Into<CompactString>) -> Self {
        Self::Text(TextDelta::new(text))
    }

    /// Makes a terminal event.
    #[must_use]
    pub const fn finish(reason: FinishReason, usage: Usage) -> Self {
        Self::Finish(Finish::new(reason, usage))
    }

    /// Returns the answer's text in this event, empty for every event but [`TokenEvent::Text`].
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(delta) => delta.text(),
            _ => "",
        }
    }

    /// Returns whether this is the terminal event.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Finish(_))
    }
}

/// A piece of text with what is known of its origin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextDelta {
    text: CompactString,
    ids: SmallVec<[u32; 4]>,
    raw: Option<Bytes>,
}

impl TextDelta {
    /// Makes a delta of unknown origin; up to 24 bytes of text are stored inline.
    pub fn new(text: impl Into<CompactString>) -> Self {
        Self { text: text.into(), ids: SmallVec::new(), raw: None }
    }

    /// Adds the ids of the tokens that make up the text; up to four are stored inline.
    #[must_use]
    pub fn with_token_ids(mut self, ids: &[u32]) -> Self {
        self.ids = SmallVec::from_slice(ids);
        self
    }

    /// Adds the frame in which the server sent it, byte for byte.
    #[must_use]
    pub fn with_raw(mut self, frame: Bytes) -> Self {
        self.raw = Some(frame);
        self
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the ids of the tokens, empty where they are not known.
    #[must_use]
    pub fn token_ids(&self) -> &[u32] {
        &self.ids
    }

    /// Returns the server's frame, where it is known and still says the same as the text.
    #[must_use]
    pub const fn raw(&self) -> Option<&Bytes> {
        self.raw.as_ref()
    }
}

/// A piece of a tool call; the pieces of one call share its index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// Which call of the answer this belongs to, from 0.
    pub index: u32,
    /// The id of the call; in its first piece.
    pub id: Option<String>,
    /// The name of the tool; in its first piece.
    pub name: Option<String>,
    /// A piece of the arguments, JSON text.
    pub arguments: String,
    /// The frame in which the server sent it, where it is known and still says the same; whoever changes the others clears it.
    pub raw: Option<Bytes>,
}

impl ToolCallDelta {
    /// Makes a piece of the arguments of call `index`.
    pub fn new(index: u32, arguments: impl Into<String>) -> Self {
        Self { index, arguments: arguments.into(), ..Self::default() }
    }

    /// Opens the call: its id and the tool's name.
    #[must_use]
    pub fn opening(mut self, id: impl Into<String>, name: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self.name = Some(name.into());
        self
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    #[default]
    Stop,
    /// The token limit was reached.
    Length,
    /// The model asks for tools to be called.
    ToolCalls,
    /// The server withheld the rest.
    ContentFilter,
}

impl FinishReason {
    /// Returns the name that chat protocols use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Tokens of one call, as the server counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the prompt that the server had in its cache; part of `prompt_tokens`.
    pub cached_tokens: u64,
    /// Tokens generated.
    pub completion_tokens: u64,
}

impl Usage {
    /// Makes a usage of prompt and completion tokens, none of them cached.
    #[must_use]
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, cached_tokens: 0, completion_tokens }
    }
}

/// The terminal event of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finish {
    /// Why it ended.
    pub reason: FinishReason,
    /// What it took.
    pub usage: Usage,
    /// What the checks of the whole answer found, in their order; empty where there are none.
    pub checks: Vec<Check>,
    /// What the server said at the end beyond all this, by its own names: timings, what it cost.
    pub vendor: Option<Box<Map<String, Value>>>,
    /// Who answered; the inference stage fills it in where no worker did.
    pub origin: Option<Box<Origin>>,
}

/// Who answered a request, and who failed before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Origin {
    /// The worker that brought the answer to its end.
    pub worker: String,
    /// The model that answered, where it is known.
    pub model: Option<String>,
    /// The calls that failed before, in order. What they generated is not part of the answer's usage, unless the answer goes on
    /// behind it.
    pub failed: Vec<Attempt>,
}

impl Origin {
    /// Names a worker and its model.
    pub fn new(worker: impl Into<String>, model: Option<String>) -> Self {
        Self { worker: worker.into(), model, failed: Vec::new() }
    }
}

impl Finish {
    /// Makes a terminal event without checks.
    #[must_use]
    pub const fn new(reason: FinishReason, usage: Usage) -> Self {
        Self { reason, usage, checks: Vec::new(), vendor: None, origin: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small_enough_to_be_moved_about() {
        assert!(size_of::<Result<TokenEvent, crate::error::Error>>() <= 88);
    }
}
