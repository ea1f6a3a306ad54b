use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tracing::Span;

use crate::error::WorkerError;
use crate::runtime::cell::Cell;
use crate::runtime::permit::discard;
use crate::runtime::spans;
use crate::token::TokenEvent;

/// A stream that belongs to a stage: polled in its span, a panic in it is the stage's.
pub(super) struct InStage<S> {
    /// `None` only while it is dropped.
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
        let Self { stream: Some(stream), stage, span, cell } = &mut *self else { return Poll::Ready(None) };
        match span {
            None => poll_in(stage, cell, stream, cx),
            Some(span) => span.in_scope(|| poll_in(stage, cell, stream, cx)),
        }
    }
}

impl<S> Drop for InStage<S> {
    /// A panic that goes through a stage that reads it drops it on its way: another one, of a destructor, would abort.
    fn drop(&mut self) {
        if std::thread::panicking() {
            discard(self.stream.take());
        }
    }
}

/// Polls a stage's stream. Does nothing with the event, so that it lies where the caller wants it from the start.
#[inline]
fn poll_in<S: Stream + Unpin>(
    stage: &Arc<str>,
    cell: &Cell,
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<Option<S::Item>> {
    let blame = Blame { cell, stage };
    let polled = Pin::new(stream).poll_next(cx);
    std::mem::forget(blame);
    polled
}

/// Dropped by a panic only, which goes on to whoever reads the pipeline's streams or runs its stages: to catch it here would
/// move each event once more.
struct Blame<'a> {
    cell: &'a Cell,
    stage: &'a Arc<str>,
}

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        self.cell.blame(self.stage);
    }
}
