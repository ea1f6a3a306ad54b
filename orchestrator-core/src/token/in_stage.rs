use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tracing::Span;

use crate::error::{Error, WorkerError};
use crate::runtime::cell::{Cell, Ending};
use crate::runtime::spans;
use crate::token::TokenEvent;

/// A stream that belongs to a stage: polled in its span, its panics are the stage's.
pub(super) struct InStage<S> {
    /// `None` after a panic.
    stream: Option<S>,
    stage: Arc<str>,
    /// The stage's span, which lasts as long as its stream.
    span: Option<Span>,
    cell: Arc<Cell>,
}

impl<S> InStage<S> {
    pub(super) fn new(cx: &crate::context::Context, stream: S) -> Self {
        cx.cell().mark_source();
        Self {
            stream: Some(stream),
            stage: cx.cell().stage_name(),
            span: spans::enabled().then(Span::current),
            cell: cx.cell().clone(),
        }
    }
}

impl<S> Stream for InStage<S>
where
    S: Stream<Item = Result<TokenEvent, WorkerError>> + Unpin,
{
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream: Some(stream), span, .. } = &mut *self else { return Poll::Ready(None) };
        let in_span = span.as_ref().map(Span::enter);
        match catch_unwind(AssertUnwindSafe(|| Pin::new(stream).poll_next(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                drop(in_span);
                self.stream = None;
                // The pipeline's own reader finds the request ended, and tells the caller of this error. Any other must
                // not take the stream for whole.
                self.cell.end(Ending::Failed(Error::panicked(self.stage.clone(), &*panic)));
                Poll::Ready(Some(Err(WorkerError::stream_cut())))
            }
        }
    }
}
