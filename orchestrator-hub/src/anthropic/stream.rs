use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use orchestrator_core::token::{Finish, TextDelta, TokenEvent};
use serde::Serialize;

use super::message::{Block, Input, Message, Usage, stop};
use super::messages;
use crate::answer::{Frame, Whole, Wording, sse};
use crate::fault::Fault;

/// Puts an answer as Anthropic's API does: as one message, or as the events of a stream, one block after the other, each with
/// its pieces.
///
/// Nobody says when a call has all its pieces, and a block that was ended cannot be gone on with. So whatever else comes behind
/// a call waits for the end of the answer.
pub(super) struct Stream {
    id: String,
    model: String,
    shows_thinking: bool,
    /// Blocks that are over.
    closed: usize,
    /// The one that is being written.
    open: Option<Open>,
    /// What waits for the open call, in the order in which it came.
    held: Vec<Held>,
}

/// A piece of a block, or all of it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    kind: Open,
    /// Of calls, where it is their first.
    id: &'a str,
    name: &'a str,
    text: &'a str,
}

/// A block that waits.
struct Held {
    kind: Open,
    id: String,
    name: String,
    text: String,
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
        Self { id, model, shows_thinking, closed: 0, open: None, held: Vec::new() }
    }

    /// Ends the block that is open, if one is.
    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            Event::ContentBlockStop { index: self.closed }.write(out);
            self.closed += 1;
        }
    }

    /// Writes a piece, behind the start of a block if another one is open.
    fn piece(&mut self, piece: Piece<'_>, out: &mut BytesMut) {
        if self.open != Some(piece.kind) {
            self.close(out);
            self.open = Some(piece.kind);
            Event::ContentBlockStart { index: self.closed, content_block: piece.block() }.write(out);
        }
        if !piece.text.is_empty() {
            Event::ContentBlockDelta { index: self.closed, delta: piece.delta() }.write(out);
        }
    }

    /// Keeps a piece for the end, with the others of its call, or behind the last one if it goes on with that.
    fn hold(&mut self, piece: Piece<'_>) {
        let is_of = |held: &&mut Held| held.kind == piece.kind;
        let of_call = matches!(piece.kind, Open::Call(_));
        let known = if of_call { self.held.iter_mut().find(is_of) } else { self.held.last_mut().filter(is_of) };
        match known {
            Some(held) => held.text.push_str(piece.text),
            None => self.held.push(Held {
                kind: piece.kind,
                id: piece.id.to_owned(),
                name: piece.name.to_owned(),
                text: piece.text.to_owned(),
            }),
        }
    }

    /// Writes what has waited; of an answer without a word an empty text, as clients look at the first block.
    fn complete(&mut self, out: &mut BytesMut) {
        for Held { kind, id, name, text } in std::mem::take(&mut self.held) {
            self.piece(Piece { kind, id: &id, name: &name, text: &text }, out);
        }
        if self.open.is_none() {
            self.piece(Piece { kind: Open::Text, id: "", name: "", text: "" }, out);
        }
        self.close(out);
    }

    /// The piece that an event is, where it is shown.
    fn shown<'a>(&self, event: &'a TokenEvent) -> Option<Piece<'a>> {
        let said = |kind, text| Some(Piece { kind, id: "", name: "", text });
        match event {
            TokenEvent::Text(delta) => said(Open::Text, delta.text()),
            TokenEvent::Reasoning(delta) if self.shows_thinking => said(Open::Thinking, delta.text()),
            TokenEvent::ToolCall(call) => {
                let (id, name) = (call.id.as_deref().unwrap_or_default(), call.name.as_deref().unwrap_or_default());
                Some(Piece { kind: Open::Call(call.index), id, name, text: &call.arguments })
            }
            TokenEvent::Reasoning(_) | TokenEvent::Reset | TokenEvent::Finish(_) => None,
        }
    }
}

impl<'a> Piece<'a> {
    const fn block(self) -> Block<'a> {
        match self.kind {
            Open::Thinking => Block::Thinking { thinking: "", signature: "" },
            Open::Text => Block::Text { text: "" },
            Open::Call(_) => Block::ToolUse { id: self.id, name: self.name, input: Input::Empty {} },
        }
    }

    const fn delta(self) -> Delta<'a> {
        match self.kind {
            Open::Thinking => Delta::Thinking { thinking: self.text },
            Open::Text => Delta::Text { text: self.text },
            Open::Call(_) => Delta::Input { partial_json: self.text },
        }
    }
}

impl Wording for Stream {
    type Seen = ();

    fn look(&self, _delta: &TextDelta, (): &mut ()) {}

    fn whole(self, mut answered: Whole<()>) -> Response {
        if !self.shows_thinking {
            answered.reasoning.clear();
        }
        messages::whole(&self.id, &self.model, &answered)
    }

    fn begin(&mut self, frame: Option<&Bytes>, model: impl FnOnce() -> Option<Arc<str>>, out: &mut BytesMut) {
        let told = frame.and_then(|frame| Frame::read(frame)?.model);
        if let Some(model) = told.or_else(|| Some(model()?.to_string())) {
            self.model = model;
        }
        Event::MessageStart { message: Message::new(&self.id, &self.model) }.write(out);
    }

    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        match (self.shown(event), self.open) {
            (Some(piece), Some(open @ Open::Call(_))) if piece.kind != open => self.hold(piece),
            (Some(piece), _) => self.piece(piece, out),
            (None, _) => {}
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut BytesMut) {
        self.complete(out);
        let (stop_reason, stop_sequence) = stop(finish);
        let delta = Ending { stop_reason, stop_sequence };
        Event::MessageDelta { delta, usage: Usage::of(finish.usage) }.write(out);
        Event::MessageStop.write(out);
    }

    fn fault(&mut self, fault: &Fault, out: &mut BytesMut) {
        sse::named("error", &super::Error::new(fault, None), out);
    }
}
