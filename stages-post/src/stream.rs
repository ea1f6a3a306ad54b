//! The adapter that runs a request's filters whenever its stream is polled.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

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

    /// Returns what becomes of an item, `None` where nothing comes of it.
    fn filter(&mut self, item: Item) -> Option<Item> {
        match &item {
            Some(Ok(TokenEvent::Text(delta))) => {
                let text = match self.chain.push(delta.text()) {
                    None => return (!delta.text().is_empty()).then_some(item),
                    Some(text) => text,
                };
                (!text.is_empty()).then(|| Some(Ok(TokenEvent::text_delta(text))))
            }
            Some(Ok(TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_))) => Some(item),
            Some(Ok(TokenEvent::Reset)) => {
                self.chain.reset();
                Some(item)
            }
            Some(Ok(TokenEvent::Finish(finish))) => {
                self.source = None;
                let held = self.chain.flush();
                if held.is_empty() {
                    return Some(item);
                }
                self.finish = Some(*finish);
                Some(Some(Ok(TokenEvent::text_delta(held))))
            }
            Some(Err(_)) | None => {
                self.source = None;
                Some(item)
            }
        }
    }
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
            let item = ready!(Pin::new(source).poll_next(cx));
            if let Some(item) = this.filter(item) {
                return Poll::Ready(item);
            }
        }
    }
}
