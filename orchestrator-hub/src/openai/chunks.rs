use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use orchestrator_core::token::{Finish, TextDelta, TokenEvent};

use super::head::{Head, Route};
use super::logprobs::Logprobs;
use super::object::{CallPiece, ChatChoice, Delta, Object, Others, Said, TextChoice, reason, said};
use super::{chat, completion};
use crate::answer::{Frame, Whole, Wording, raw, sse};
use crate::fault::Fault;

/// Puts an answer as OpenAI's API does: the events of a stream, or one object.
///
/// What the server sent in the same dialect is handed on byte for byte. The first frame is looked at, so that all objects of
/// the stream have its id and its model; a frame with another id, as from a server that has taken over, is put anew.
pub(super) struct Chunks {
    route: Route,
    head: Head,
    /// Whether a stream ends with the usage.
    include_usage: bool,
    /// Whether an object says how likely its tokens were.
    wants_logprobs: bool,
    /// The id that the server's frames have; `None` where they are not handed on.
    forwards: Option<Id>,
}

/// What a server calls its answer, in each of its frames.
struct Id {
    /// With its quotes, as one id may be the beginning of another.
    quoted: Finder<'static>,
    /// Where it stood in the last frame: mostly it stands there again.
    at: usize,
}

impl Id {
    fn new(id: &str) -> Self {
        Self { quoted: Finder::new(&format!("\"{id}\"")).into_owned(), at: 0 }
    }

    fn is_in(&mut self, frame: &[u8]) -> bool {
        let quoted = self.quoted.needle();
        if frame.get(self.at..).is_some_and(|rest| rest.starts_with(quoted)) {
            return true;
        }
        let found = self.quoted.find(frame);
        self.at = found.unwrap_or_default();
        found.is_some()
    }
}

impl Chunks {
    pub(super) fn new(route: Route, head: Head, include_usage: bool, wants_logprobs: bool) -> Self {
        Self { route, head, include_usage, wants_logprobs, forwards: None }
    }

    /// Takes over what a server calls its answer; `None` where it speaks another dialect.
    fn take_head(&mut self, raw: &[u8]) -> Option<Id> {
        let frame = Frame::read(raw)?;
        if frame.object.as_deref() != Some(self.route.chunk()) {
            return None;
        }
        self.head.id = frame.id?;
        self.head.created = frame.created.unwrap_or(self.head.created);
        self.head.model = frame.model.unwrap_or_else(|| std::mem::take(&mut self.head.model));
        Some(Id::new(&self.head.id))
    }

    /// Returns the frame if it can be handed on.
    fn same<'a>(&mut self, raw: Option<&'a Bytes>) -> Option<&'a Bytes> {
        let id = self.forwards.as_mut()?;
        raw.filter(|raw| id.is_in(raw))
    }

    /// Writes a piece of a chat.
    fn piece(&self, delta: Delta<'_>, out: &mut BytesMut) {
        let others = Others::default();
        let choice =
            ChatChoice { index: 0, said: Said::Delta(delta), logprobs: None::<()>, others, finish_reason: None };
        sse::data(&Object::new(self.route.chunk(), &self.head, [choice]), out);
    }

    fn text(&self, delta: &TextDelta, out: &mut BytesMut) {
        match self.route {
            Route::Chat => self.piece(Delta { content: Some(delta.text()), ..Delta::default() }, out),
            Route::Completion => {
                let (text, others) = (delta.text(), Others::default());
                let choice = TextChoice { index: 0, text, logprobs: None::<()>, others, finish_reason: None };
                sse::data(&Object::new(self.route.chunk(), &self.head, [choice]), out);
            }
        }
    }

    /// Writes an event in words of our own. The route of completions has none for reasoning and calls.
    fn word(&self, event: &TokenEvent, out: &mut BytesMut) {
        match (event, self.route) {
            (TokenEvent::Text(delta), _) => self.text(delta, out),
            (TokenEvent::Reasoning(delta), Route::Chat) => {
                self.piece(Delta { reasoning_content: Some(delta.text()), ..Delta::default() }, out);
            }
            (TokenEvent::ToolCall(call), Route::Chat) => {
                self.piece(Delta { tool_calls: Some([CallPiece::from(&**call)]), ..Delta::default() }, out);
            }
            _ => {}
        }
    }

    /// Writes the chunk that says why the answer has ended.
    fn end(&self, finish: &Finish, out: &mut BytesMut) {
        let logprobs = said(finish, "logprobs");
        let (others, finish_reason) = (Others::of_choice(finish), Some(reason(finish)));
        match self.route {
            Route::Chat => {
                let said = Said::Delta(Delta::default());
                self.last([ChatChoice { index: 0, said, logprobs, others, finish_reason }], finish, out);
            }
            Route::Completion => {
                self.last([TextChoice { index: 0, text: "", logprobs, others, finish_reason }], finish, out);
            }
        }
    }

    fn last(&self, choices: impl serde::Serialize, finish: &Finish, out: &mut BytesMut) {
        sse::data(&Object::new(self.route.chunk(), &self.head, choices).with_others(finish), out);
    }
}

impl Wording for Chunks {
    type Seen = Logprobs;

    fn look(&self, delta: &TextDelta, seen: &mut Logprobs) {
        if self.wants_logprobs {
            seen.look(delta);
        }
    }

    fn whole(self, answered: Whole<Logprobs>) -> Response {
        match self.route {
            Route::Chat => chat::whole(&self.head, answered),
            Route::Completion => completion::whole(&self.head, answered),
        }
    }

    fn begin(&mut self, frame: Option<&Bytes>, model: impl FnOnce() -> Option<Arc<str>>, out: &mut BytesMut) {
        self.forwards = frame.and_then(|frame| self.take_head(frame));
        if self.forwards.is_none()
            && let Some(model) = model()
        {
            self.head.model = model.to_string();
        }
        if self.route == Route::Chat {
            self.piece(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, out);
        }
    }

    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        match self.same(raw(event)) {
            Some(raw) => sse::frame(raw, out),
            None => self.word(event, out),
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut BytesMut) {
        // It may be another one than has begun it.
        let model = finish.origin.as_ref().and_then(|origin| origin.model.as_ref());
        if let Some(model) = model.filter(|_| self.forwards.is_none()) {
            self.head.model.clone_from(model);
        }
        self.end(finish, out);
        if self.include_usage {
            sse::data(&Object::new(self.route.chunk(), &self.head, [(); 0]).with_usage(finish), out);
        }
        sse::done(out);
    }

    fn fault(&mut self, fault: &Fault, out: &mut BytesMut) {
        sse::data(&super::Error::from(fault), out);
    }
}
