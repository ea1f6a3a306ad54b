//! The adapter that runs a request's filters whenever its stream is polled.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Finish, FinishReason, TextDelta, TokenEvent, TokenStream, Usage};

use crate::asides::Asides;
use crate::chain::{Chain, Passed};
use crate::reasoning::{Kind, Split};

/// A token stream whose text runs through filters.
pub(crate) struct FilteredStream {
    /// `None` once it has ended.
    source: Option<TokenStream>,
    /// Ahead of all filters.
    split: Option<Split>,
    chain: Chain,
    asides: Asides,
    /// What goes on before the source is asked again.
    ready: VecDeque<TokenEvent>,
}

/// What takes the place of an item.
enum Instead {
    /// The item itself, as it stands now.
    Same,
    This(TokenEvent),
    /// What is ready, or nothing: the filters hold it back.
    Ready,
}

/// What becomes of a piece of text.
enum Piece {
    /// It goes on as it is.
    Same,
    Changed(TextDelta),
    /// Nothing of it is left, or it is ready.
    Gone,
}

/// So many pieces may be held one behind the other before others get their turn.
const HELD_AT_ONCE: usize = 64;

type Item = Option<Result<TokenEvent, WorkerError>>;

impl FilteredStream {
    pub(crate) const fn new(source: TokenStream, split: Option<Split>, chain: Chain, asides: Asides) -> Self {
        Self { source: Some(source), split, chain, asides, ready: VecDeque::new() }
    }

    /// Returns what takes the place of what the source gave.
    ///
    /// Looks at it, and changes it, where it lies: an item is moved no more often than it has to be.
    fn replace(&mut self, polled: &mut Poll<Item>) -> Instead {
        match polled {
            Poll::Ready(Some(Ok(TokenEvent::Text(delta)))) => match &mut self.split {
                None => self.text_in(delta),
                Some(split) => match split.push(delta.text()) {
                    Some(Kind::Text) => self.text_in(delta),
                    Some(Kind::Reasoning) => self.thought(delta),
                    None => {
                        self.parts();
                        Instead::Ready
                    }
                },
            },
            Poll::Ready(Some(Ok(TokenEvent::Reasoning(delta)))) => match self.asides.reasoning(delta.text()) {
                None => Instead::Same,
                Some(text) => reasoning(text),
            },
            Poll::Ready(Some(Ok(TokenEvent::ToolCall(call)))) => match self.asides.call(call) {
                None => Instead::Same,
                Some(event) => event.map_or(Instead::Ready, Instead::This),
            },
            Poll::Ready(Some(Ok(TokenEvent::Reset))) => {
                self.reset();
                Instead::Same
            }
            Poll::Ready(Some(Ok(TokenEvent::Finish(finish)))) => {
                self.source = None;
                self.flush(finish);
                Instead::Ready
            }
            Poll::Ready(Some(Err(_)) | None) => {
                self.source = None;
                Instead::Same
            }
            Poll::Pending => Instead::Same,
        }
    }

    /// Runs the answer's text in `delta` through its filters, and leaves there what comes out.
    #[inline]
    fn text_in(&mut self, delta: &mut TextDelta) -> Instead {
        match self.text(delta.text()) {
            Piece::Same => Instead::Same,
            Piece::Changed(changed) => {
                *delta = changed;
                Instead::Same
            }
            Piece::Gone => Instead::Ready,
        }
    }

    /// Runs a piece of the answer's text through its filters.
    #[inline]
    fn text(&mut self, text: &str) -> Piece {
        match self.chain.push(text) {
            Passed::Unchanged if !text.is_empty() => Piece::Same,
            Passed::Unchanged | Passed::Changed("") => Piece::Gone,
            Passed::Changed(text) => Piece::Changed(TextDelta::new(text)),
            Passed::Ended(text, reason) => {
                let text = (!text.is_empty()).then(|| TokenEvent::text_delta(text));
                self.end(text, reason);
                Piece::Gone
            }
        }
    }

    /// Makes reasoning of a piece of text. Its frame calls it text, so only the ids stay with it.
    fn thought(&mut self, delta: &TextDelta) -> Instead {
        match self.asides.reasoning(delta.text()) {
            None if delta.text().is_empty() => Instead::Ready,
            None => {
                let delta = TextDelta::new(delta.text()).with_token_ids(delta.token_ids());
                Instead::This(TokenEvent::Reasoning(delta))
            }
            Some(text) => reasoning(text),
        }
    }

    /// Runs what a piece was split into through the filters of each kind.
    fn parts(&mut self) {
        let mut parts = self.split.as_mut().map(|split| std::mem::take(&mut split.parts)).unwrap_or_default();
        for (kind, part) in parts.drain(..) {
            // A filter may have ended the answer with the part before.
            if self.source.is_some() {
                self.part(kind, &part);
            }
        }
        if let Some(split) = &mut self.split {
            split.parts = parts;
        }
    }

    fn part(&mut self, kind: Kind, part: &str) {
        let mut delta = TextDelta::new(part);
        let instead = match kind {
            Kind::Text => self.text_in(&mut delta),
            Kind::Reasoning => self.thought(&delta),
        };
        match (instead, kind) {
            (Instead::Same, Kind::Text) => self.ready.push_back(TokenEvent::Text(delta)),
            (Instead::Same, Kind::Reasoning) => self.ready.push_back(TokenEvent::Reasoning(delta)),
            (Instead::This(event), _) => self.ready.push_back(event),
            (Instead::Ready, _) => {}
        }
    }

    fn reset(&mut self) {
        if let Some(split) = &mut self.split {
            split.reset();
        }
        self.chain.reset();
        self.asides.reset();
    }

    /// Makes ready what is held, and the terminal event behind it.
    fn flush(&mut self, finish: &Finish) {
        let mut held_text = None;
        if let Some((kind, held)) = self.split.as_mut().map(Split::flush) {
            match kind {
                Kind::Reasoning => self.part(kind, &held),
                Kind::Text => held_text = Some(held),
            }
        }
        self.ready.extend(self.asides.flush_reasoning());
        let mut finish = finish.clone();
        let mut before = String::new();
        if let Some(held) = held_text.filter(|held| !held.is_empty()) {
            match self.chain.push(&held) {
                Passed::Unchanged => before = held,
                Passed::Changed(text) => before.push_str(text),
                Passed::Ended(text, reason) => {
                    self.ready.extend((!text.is_empty()).then(|| TokenEvent::text_delta(text)));
                    finish.reason = reason;
                    return self.finish(finish);
                }
            }
        }
        let (held, reason) = self.chain.flush();
        before.push_str(held);
        self.ready.extend((!before.is_empty()).then(|| TokenEvent::text_delta(before)));
        finish.reason = reason.unwrap_or(finish.reason);
        self.finish(finish);
    }

    /// Ends the answer from here: the source goes at once, what the filters of the other kinds hold comes out.
    fn end(&mut self, text: Option<TokenEvent>, reason: FinishReason) {
        self.source = None;
        self.ready.extend(self.asides.flush_reasoning());
        self.ready.extend(text);
        self.finish(Finish::new(reason, Usage::default()));
    }

    fn finish(&mut self, finish: Finish) {
        self.ready.extend(self.asides.flush_calls());
        self.ready.push_back(TokenEvent::Finish(finish));
    }
}

fn reasoning(text: &str) -> Instead {
    if text.is_empty() { Instead::Ready } else { Instead::This(TokenEvent::Reasoning(TextDelta::new(text))) }
}

impl Stream for FilteredStream {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Item> {
        let this = &mut *self;
        // Goes on only over pieces that are held back. A source that is always ready must not keep the task from all else.
        for _ in 0..HELD_AT_ONCE {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(source) = &mut this.source else { return Poll::Ready(None) };
            let mut polled = Pin::new(source).poll_next(cx);
            match this.replace(&mut polled) {
                Instead::Same => return polled,
                Instead::This(event) => return Poll::Ready(Some(Ok(event))),
                Instead::Ready => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
