use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;
use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, WorkerError};
use orchestrator_core::request::Message;
use orchestrator_core::stage::{Stage, StageConfig};
use orchestrator_core::token::{Finish, FinishReason, TokenEvent, TokenStream, Verdict};

use crate::memory::recall::in_time;
use crate::memory::{Asked, SessionKey, SessionStore, Turn};

/// An answer that is longer is not remembered.
const LONGEST: usize = 1 << 20;

/// Remembers what was asked and answered, once the answer is whole.
///
/// Stands behind the stages that change the answer, so that it remembers what the caller was given. What was asked it
/// learns from [`AssembleStage::memory`](crate::AssembleStage::memory), with the same store: the caller's own messages,
/// not the prompt that was made of them. Without that, there is nothing to remember, and the report of a request with a
/// session says so.
///
/// The turn is added before the terminal event is handed on, so that a caller who has read an answer to its end finds it
/// remembered. Requests of one session that run at the same time are remembered in the order in which they end.
///
/// Not remembered are requests without a session, conversations that the caller sends itself, and answers that
///
/// - broke off, failed or were cancelled before their end, but one that reached the token limit counts as whole;
/// - ask for tools, were withheld by the server's filter or refused by a check;
/// - hold no text, or more than 1 MiB of it.
///
/// Events pass untouched. It is placed inline, as it only wraps a stream.
pub struct RememberStage {
    store: Arc<dyn SessionStore>,
}

impl RememberStage {
    /// Fills `store`.
    pub fn new(store: impl SessionStore) -> Self {
        Self { store: Arc::new(store) }
    }
}

impl Stage<TokenStream> for RememberStage {
    type Out = TokenStream;
    type Error = Infallible;

    async fn run(&self, cx: &Context, stream: TokenStream) -> Result<TokenStream, Infallible> {
        let Some(asked) = cx.get::<Asked>() else {
            if cx.session().is_some() {
                cx.note("nothing is remembered: no stage in front reads the session's memory");
            }
            return Ok(stream);
        };
        let Some((key, asked)) = &asked.0 else { return Ok(stream) };
        let turn = Unfinished { key: key.clone(), asked: asked.clone(), answer: Some(String::new()) };
        let remembering = Remembering { source: stream, turn, store: self.store.clone(), cx: cx.clone(), adding: None };
        Ok(TokenStream::in_stage(cx, remembering))
    }

    fn name(&self) -> &str {
        "remember"
    }

    /// Inline: it only wraps a stream. Its depth, where it is placed with a queue, is 1,024.
    fn defaults(&self) -> StageConfig {
        StageConfig::new().inline().depth(1024)
    }
}

impl fmt::Debug for RememberStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RememberStage").finish_non_exhaustive()
    }
}

type Adding = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A stream whose text is remembered.
struct Remembering {
    source: TokenStream,
    turn: Unfinished,
    store: Arc<dyn SessionStore>,
    cx: Context,
    /// The turn on its way into the store, and the terminal event that waits for it.
    adding: Option<(Adding, Finish)>,
}

/// A turn whose answer is still coming.
struct Unfinished {
    key: SessionKey,
    asked: Vec<Message>,
    /// `None` once it is too long.
    answer: Option<String>,
}

impl Unfinished {
    fn push(&mut self, text: &str) {
        if let Some(answer) = &mut self.answer {
            answer.push_str(text);
            if answer.len() > LONGEST {
                self.answer = None;
            }
        }
    }

    fn reset(&mut self) {
        self.answer = Some(String::new());
    }

    /// The whole turn, where it is worth remembering.
    fn finish(&mut self, finish: &Finish) -> Option<Turn> {
        let said = matches!(finish.reason, FinishReason::Stop | FinishReason::Length);
        let refused = finish.checks.iter().any(|check| matches!(check.verdict, Verdict::Refused(_)));
        let answer = self.answer.take().filter(|answer| said && !refused && !answer.trim().is_empty())?;
        let mut messages = std::mem::take(&mut self.asked);
        messages.push(Message::assistant(answer));
        Some(Turn::new(messages))
    }
}

impl Remembering {
    fn add(&self, turn: Turn) -> Adding {
        let (store, key) = (self.store.clone(), self.turn.key.clone());
        Box::pin(async move { in_time(store.append(&key, turn)).await })
    }

    /// Hands the terminal event on behind the turn.
    fn poll_added(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Item>> {
        let Some((adding, _)) = &mut self.adding else { return Poll::Ready(None) };
        if let Err(error) = std::task::ready!(adding.as_mut().poll(cx)) {
            self.cx.note(format!("not remembered: {error}"));
        }
        Poll::Ready(self.adding.take().map(|(_, finish)| Ok(TokenEvent::Finish(finish))))
    }
}

type Item = Result<TokenEvent, WorkerError>;

impl Stream for Remembering {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if this.adding.is_some() {
            return this.poll_added(cx);
        }
        // Looked at where it lies: an item is moved no more often than it has to be.
        let polled = Pin::new(&mut this.source).poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(TokenEvent::Text(delta)))) => this.turn.push(delta.text()),
            Poll::Ready(Some(Ok(TokenEvent::Reset))) => this.turn.reset(),
            Poll::Ready(Some(Ok(TokenEvent::Finish(finish)))) => {
                if let Some(turn) = this.turn.finish(finish) {
                    this.adding = Some((this.add(turn), finish.clone()));
                    return this.poll_added(cx);
                }
            }
            _ => {}
        }
        polled
    }
}
