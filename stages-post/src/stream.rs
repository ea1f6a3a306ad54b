//! The adapter that runs a request's filters whenever its stream is polled.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Finish, TokenEvent, TokenStream};

use crate::chain::Chain;

/// A token stream whose text runs through a chain of filters.
pub(crate) struct FilteredStream {
    /// `None` once it has ended.
    source: Option<TokenStream>,
    chain: Chain,
    /// The terminal event, while the text that was held back goes before it.
    finish: Option<Finish>,
}

impl FilteredStream {
    pub(crate) const fn new(source: TokenStream, chain: Chain) -> Self {
        Self { source: Some(source), chain, finish: None }
    }

    /// Returns what takes the place of what the source gave, `None` where that goes on as it is.
    ///
    /// Looks at it where it lies: an item is moved no more often than it has to be.
    fn replace(&mut self, polled: &Poll<Item>) -> Option<Instead> {
        match polled {
            Poll::Ready(Some(Ok(TokenEvent::Text(delta)))) => match self.chain.push(delta.text()) {
                None if !delta.text().is_empty() => None,
                None | Some("") => Some(Instead::Nothing),
                Some(text) => Some(Instead::Text(TokenEvent::text_delta(text))),
            },
            Poll::Pending | Poll::Ready(Some(Ok(TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_)))) => None,
            Poll::Ready(Some(Ok(TokenEvent::Reset))) => {
                self.chain.reset();
                None
            }
            Poll::Ready(Some(Ok(TokenEvent::Finish(finish)))) => {
                self.source = None;
                let held = self.chain.flush();
                if held.is_empty() {
                    return None;
                }
                self.finish = Some(finish.clone());
                Some(Instead::Text(TokenEvent::text_delta(held)))
            }
            Poll::Ready(Some(Err(_)) | None) => {
                self.source = None;
                None
            }
        }
    }
}

/// What takes the place of an item.
enum Instead {
    /// The filters hold it back.
    Nothing,
    Text(TokenEvent),
}

type Item = Option<Result<TokenEvent, WorkerError>>;

impl Stream for FilteredStream {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Item> {
        let this = &mut *self;
        // Goes on only over pieces that are held back, so it ends with what the source has ready.
        loop {
            let Some(source) = &mut this.source else {
                return Poll::Ready(this.finish.take().map(|finish| Ok(TokenEvent::Finish(finish))));
            };
            let polled = Pin::new(source).poll_next(cx);
            match this.replace(&polled) {
                None => return polled,
                Some(Instead::Text(event)) => return Poll::Ready(Some(Ok(event))),
                Some(Instead::Nothing) => {}
            }
        }
    }
}
