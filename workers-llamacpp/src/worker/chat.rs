use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{TokenEvent, TokenStream};

use crate::pin::Lease;

/// A chat's answer, which ends the lease of its slot.
pub(super) struct Leased {
    stream: TokenStream,
    /// `None` behind the last event.
    lease: Option<Lease>,
}

impl Leased {
    pub(super) const fn new(stream: TokenStream, lease: Lease) -> Self {
        Self { stream, lease: Some(lease) }
    }
}

impl Stream for Leased {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = ready!(Pin::new(&mut self.stream).poll_next(cx));
        match &event {
            Some(Ok(TokenEvent::Finish(finish))) => {
                if let Some(lease) = self.lease.take() {
                    lease.finish(finish.usage.cached_tokens);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.lease = None,
        }
        Poll::Ready(event)
    }
}
