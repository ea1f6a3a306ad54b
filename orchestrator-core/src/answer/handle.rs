use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;

use crate::answer::{Report, Tokens};
use crate::context::Context;
use crate::error::Error;
use crate::runtime::cell::{Cell, Outcome};
use crate::token::TokenEvent;

/// A request that was let in, from the caller's side.
///
/// Dropping it cancels the request wherever it is, as far as the model server;
/// [`detach`](Self::detach) lets it finish without a reader. It keeps its request alive when all handles of the
/// pipeline are gone.
///
/// | the pipeline hands on | read it with |
/// |---|---|
/// | [`Tokens`], from a stream stage | [`next`](Self::next), [`text`](Self::text), or as a `Stream` |
/// | anything else | [`output`](Self::output) |
#[must_use = "dropping the answer cancels the request"]
pub struct Answer<Out> {
    cell: Arc<Cell>,
    tokens: Option<Out>,
    /// Nothing more comes.
    over: bool,
    /// Nothing lies in the cell any more.
    taken: bool,
    out: PhantomData<fn() -> Out>,
}

impl<Out: Send + 'static> Answer<Out> {
    pub(crate) const fn new(cell: Arc<Cell>) -> Self {
        Self { cell, tokens: None, over: false, taken: false, out: PhantomData }
    }

    /// Waits for the pipeline's output.
    ///
    /// Of a pipeline that streams this is [`Tokens`]; the methods of the answer itself read them more conveniently.
    ///
    /// # Errors
    ///
    /// Tells how the request ended if it was not answered.
    ///
    /// # Panics
    ///
    /// Panics where the output was taken before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the output stays until it is returned.
    pub async fn output(&mut self) -> Result<Out, Error> {
        std::future::poll_fn(|cx| self.poll_output(cx)).await
    }

    fn poll_output(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Out, Error>> {
        match self.cell.poll_output(cx.waker()) {
            Outcome::Pending => Poll::Pending,
            Outcome::Failed(error) => Poll::Ready(Err(error)),
            Outcome::Gone => panic!("the output was taken before"),
            Outcome::Output(output) => {
                self.taken = true;
                let output = output.downcast::<Option<Out>>().expect("the pipeline's last stage hands on `Out`");
                Poll::Ready(Ok(output.expect("a parcel is filled before it is delivered")))
            }
        }
    }

    /// Cancels the request wherever it is.
    ///
    /// What is read afterwards is the error of a cancelled request. Does nothing where it has ended.
    pub fn cancel(&mut self) {
        // What has been answered stays to be read.
        if self.cell.cancel() {
            drop(self.tokens.take());
            drop(self.cell.take_unread());
        }
    }

    /// Lets the request finish without a reader; what it hands on is discarded.
    pub fn detach(mut self) {
        self.cell.detach();
        // A stream that is read directly is driven by a task from now on.
        drop(self.tokens.take());
    }

    /// Returns what the request took so far; complete once it has ended.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::read(&self.cell)
    }

    /// Returns the request's context: its id, and what stages kept with it.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(self.cell.clone())
    }
}

impl Answer<Tokens> {
    /// Waits for the next event; `None` after the last one.
    ///
    /// The last event is the terminal one, or an error.
    ///
    /// # Panics
    ///
    /// Panics where the output was taken before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event that was not returned stays in the stream.
    pub async fn next(&mut self) -> Option<Result<TokenEvent, Error>> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Waits for the rest of the answer and returns its text.
    ///
    /// # Errors
    ///
    /// Tells how the request ended if it was not answered in full: a cut answer is an error, never a short text.
    ///
    /// # Panics
    ///
    /// Panics where the answer was read to its end, or its output taken, before.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: what was read of the text is lost with the future. Read with [`next`](Self::next) instead.
    pub async fn text(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        while let Some(event) = self.next().await {
            match event? {
                TokenEvent::Text(delta) => text.push_str(delta.text()),
                TokenEvent::Reset => text.clear(),
                TokenEvent::Finish(_) => return Ok(text),
                TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_) => {}
            }
        }
        Err(self.cell.error().expect("the answer was read to its end before"))
    }

    fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<TokenEvent, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.tokens.is_none() {
            match self.cell.poll_output(cx.waker()) {
                Outcome::Pending => return Poll::Pending,
                Outcome::Gone => {
                    self.over = true;
                    let error = self.cell.error().expect("the output was taken before");
                    return Poll::Ready(Some(Err(error)));
                }
                Outcome::Failed(error) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Outcome::Output(output) => {
                    self.tokens = output.downcast::<Option<Tokens>>().ok().and_then(|tokens| *tokens);
                }
            }
        }
        let Some(tokens) = &mut self.tokens else { return Poll::Ready(None) };
        let event = std::task::ready!(tokens.poll_event(cx));
        if !matches!(event, Some(Ok(_))) {
            self.over = true;
        }
        Poll::Ready(event)
    }
}

impl Stream for Answer<Tokens> {
    type Item = Result<TokenEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx)
    }
}

impl<Out> Unpin for Answer<Out> {}

impl<Out> Drop for Answer<Out> {
    fn drop(&mut self) {
        if self.cell.is_detached() {
            return;
        }
        if !self.cell.is_settled() {
            self.cell.cancel();
        }
        if !self.taken {
            drop(self.cell.take_unread());
        }
    }
}

impl<Out> fmt::Debug for Answer<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("id", &self.cell.id).finish_non_exhaustive()
    }
}
