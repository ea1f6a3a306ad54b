use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use orchestrator_core::token::{Finish, TextDelta, TokenEvent};

use super::head::{Head, Route};
use super::object::{CallPiece, ChatChoice, Delta, Object, Others, Said, TextChoice, reason, said};
use crate::answer::{Frame, Wording, raw, sse};
use crate::fault::Fault;

/// Puts the events of an answer as the events of a stream of OpenAI's.
///
/// What the server sent in the same dialect is handed on byte for byte. The first frame is looked at, so that all objects of the
/// stream have its id and its model; a frame with another id, as from a server that has taken over, is put anew.
pub(super) struct Chunks {
    route: Route,
    head: Head,
    include_usage: bool,
    /// Whether something was written.
    is_begun: bool,
    /// Finds the id that the server's frames have; `None` where they are not handed on.
    forwards: Option<Finder<'static>>,
}

impl Chunks {
    pub(super) fn new(route: Route, head: Head, include_usage: bool) -> Self {
        Self { route, head, include_usage, is_begun: false, forwards: None }
    }

    fn begin(&mut self, raw: Option<&Bytes>, out: &mut BytesMut) {
        self.is_begun = true;
        self.forwards = raw.and_then(|raw| self.take_head(raw));
        if self.route == Route::Chat {
            self.piece(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, out);
        }
    }

    /// Takes over what a server calls its answer; `None` where it speaks another dialect.
    fn take_head(&mut self, raw: &[u8]) -> Option<Finder<'static>> {
        let frame = Frame::read(raw)?;
        if frame.object.as_deref() != Some(self.route.chunk()) {
            return None;
        }
        self.head.id = frame.id?;
        self.head.created = frame.created.unwrap_or(self.head.created);
        self.head.model = frame.model.unwrap_or_else(|| std::mem::take(&mut self.head.model));
        // With its quotes, as one id may be the beginning of another.
        Some(Finder::new(&format!("\"{}\"", self.head.id)).into_owned())
    }

    /// Returns the frame if it can be handed on.
    fn same<'a>(&self, raw: Option<&'a Bytes>) -> Option<&'a Bytes> {
        let id = self.forwards.as_ref()?;
        raw.filter(|raw| id.find(raw).is_some())
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
    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        let raw = raw(event);
        if !self.is_begun {
            self.begin(raw, out);
        }
        match self.same(raw) {
            Some(raw) => sse::frame(raw, out),
            None => self.word(event, out),
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut BytesMut) {
        if !self.is_begun {
            self.begin(None, out);
        }
        // Who has answered in the end is known only now, unless its frames have said so.
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
        sse::data(&super::fault_body(fault), out);
    }
}
