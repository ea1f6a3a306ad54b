use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Finish, TokenEvent, TokenStream};

use crate::pin::Lease;
use crate::server::Doubt;

/// A chat's answer, which ends the lease of its slot.
pub(super) struct Leased {
    stream: TokenStream,
    /// `None` behind the last event.
    lease: Option<Lease>,
    doubt: Doubt,
}

impl Leased {
    pub(super) const fn new(stream: TokenStream, lease: Lease, doubt: Doubt) -> Self {
        Self { stream, lease: Some(lease), doubt }
    }
}

impl Stream for Leased {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut event = ready!(Pin::new(&mut self.stream).poll_next(cx));
        match &mut event {
            Some(Ok(TokenEvent::Finish(finish))) => {
                let cached = cached(finish);
                finish.usage.cached_tokens = cached.unwrap_or_default();
                if let Some(lease) = self.lease.take() {
                    lease.finish(cached);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.doubt.note(error);
                self.lease = None;
            }
            None => self.lease = None,
        }
        Poll::Ready(event)
    }
}

/// Tokens of the prompt that the slot had already. Before the usage had a field for them, they stood among the timings only,
/// and before that nowhere.
fn cached(finish: &Finish) -> Option<u64> {
    let timings = finish.vendor.as_ref().and_then(|vendor| vendor.get("timings"));
    let timed = timings.and_then(|timings| timings.get("cache_n")?.as_u64());
    timed.or(Some(finish.usage.cached_tokens).filter(|cached| *cached > 0))
}
