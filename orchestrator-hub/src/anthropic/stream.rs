use bytes::{Bytes, BytesMut};
use orchestrator_core::token::{Finish, TokenEvent, ToolCallDelta};
use serde::Serialize;

use super::message::{Block, Input, Message, Usage, stop};
use crate::answer::{Frame, Wording, raw, sse};
use crate::fault::Fault;

/// Puts the events of an answer as the events of a stream of Anthropic's: one block after the other, each with its pieces.
pub(super) struct Stream {
    id: String,
    model: String,
    shows_thinking: bool,
    is_begun: bool,
    /// Blocks that are over.
    closed: usize,
    /// The one that is being written.
    open: Option<Open>,
}

/// What kind of block is open; of tools, which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    Call(u32),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: Delta<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: Ending<'a>, usage: Usage },
    MessageStop,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct Ending<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
}

impl Event<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    fn write(&self, out: &mut BytesMut) {
        sse::named(self.name(), self, out);
    }
}

impl Stream {
    pub(super) fn new(id: String, model: String, shows_thinking: bool) -> Self {
        Self { id, model, shows_thinking, is_begun: false, closed: 0, open: None }
    }

    /// Writes what comes first. Who answers is told by the first frame, where that is in OpenAI's dialect.
    fn begin(&mut self, frame: Option<&Bytes>, out: &mut BytesMut) {
        if !self.is_begun {
            self.is_begun = true;
            if let Some(model) = frame.and_then(|frame| Frame::read(frame)?.model) {
                self.model = model;
            }
            Event::MessageStart { message: Message::new(&self.id, &self.model) }.write(out);
        }
    }

    /// Ends the block that is open, if one is.
    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            Event::ContentBlockStop { index: self.closed }.write(out);
            self.closed += 1;
        }
    }

    /// Writes a piece, behind the start of a block if another one is open.
    fn piece(&mut self, kind: Open, block: Block<'_>, delta: Delta<'_>, out: &mut BytesMut) {
        if self.open != Some(kind) {
            self.close(out);
            self.open = Some(kind);
            Event::ContentBlockStart { index: self.closed, content_block: block }.write(out);
        }
        let is_empty = matches!(delta, Delta::Input { partial_json: "" });
        if !is_empty {
            Event::ContentBlockDelta { index: self.closed, delta }.write(out);
        }
    }

    fn call(&mut self, call: &ToolCallDelta, out: &mut BytesMut) {
        let (id, name) = (call.id.as_deref().unwrap_or_default(), call.name.as_deref().unwrap_or_default());
        let block = Block::ToolUse { id, name, input: Input::Empty {} };
        self.piece(Open::Call(call.index), block, Delta::Input { partial_json: &call.arguments }, out);
    }
}

impl Wording for Stream {
    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        self.begin(raw(event), out);
        match event {
            TokenEvent::Text(delta) => {
                let text = delta.text();
                self.piece(Open::Text, Block::Text { text: "" }, Delta::Text { text }, out);
            }
            TokenEvent::Reasoning(delta) if self.shows_thinking => {
                let (thinking, block) = (delta.text(), Block::Thinking { thinking: "", signature: "" });
                self.piece(Open::Thinking, block, Delta::Thinking { thinking }, out);
            }
            TokenEvent::ToolCall(call) => self.call(call, out),
            TokenEvent::Reasoning(_) | TokenEvent::Reset | TokenEvent::Finish(_) => {}
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut BytesMut) {
        self.begin(None, out);
        self.close(out);
        let (stop_reason, stop_sequence) = stop(finish);
        let delta = Ending { stop_reason, stop_sequence };
        Event::MessageDelta { delta, usage: Usage::of(finish.usage) }.write(out);
        Event::MessageStop.write(out);
    }

    fn fault(&mut self, fault: &Fault, out: &mut BytesMut) {
        sse::named("error", &super::fault_body(fault, None), out);
    }
}
