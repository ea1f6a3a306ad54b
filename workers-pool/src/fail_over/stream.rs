use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{TokenEvent, TokenStream};
use orchestrator_core::worker::ModelWorker;

use super::course::{Called, Course};

/// The streams of one call after the other, as one.
pub(super) struct FailingOver<W> {
    state: State<W>,
    /// What comes behind a `Reset`.
    held: Option<TokenEvent>,
}

enum State<W> {
    Flowing(Box<Course<W>>, TokenStream),
    /// Between two streams.
    Calling(BoxFuture<'static, Called<W>>),
    Over,
}

impl<W: ModelWorker> FailingOver<W> {
    pub(super) const fn new(course: Box<Course<W>>, stream: TokenStream) -> Self {
        Self { state: State::Flowing(course, stream), held: None }
    }

    /// Hands on an event, or `Reset` before it.
    #[inline]
    fn hand_on(&mut self, mut event: TokenEvent) -> TokenEvent {
        let State::Flowing(course, _) = &mut self.state else { return event };
        let is_void = course.delivers(&mut event);
        if event.is_terminal() {
            self.state = State::Over;
        }
        if !is_void {
            return event;
        }
        self.held = Some(event);
        TokenEvent::Reset
    }

    /// Lets go of a stream that has died, and starts what follows; returns the last item where that is at hand.
    #[cold]
    fn fail(&mut self, error: &WorkerError) -> Option<Result<TokenEvent, WorkerError>> {
        let State::Flowing(mut course, stream) = std::mem::replace(&mut self.state, State::Over) else { return None };
        drop(stream);
        if let Some(finish) = course.whole(error) {
            return Some(Ok(TokenEvent::Finish(finish)));
        }
        match course.next(error) {
            Err(told) => Some(Err(told)),
            Ok(next) => {
                self.state = State::Calling(Box::pin(course.go_on(next)));
                None
            }
        }
    }
}

impl<W: ModelWorker> Stream for FailingOver<W> {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(event) = this.held.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        loop {
            let error = match &mut this.state {
                State::Flowing(course, stream) => match ready!(Pin::new(stream).poll_next(cx)) {
                    Some(Ok(TokenEvent::Reset)) if course.goes_on() => began_anew(),
                    Some(Ok(event)) => return Poll::Ready(Some(Ok(this.hand_on(event)))),
                    Some(Err(error)) => error,
                    None => WorkerError::stream_cut(),
                },
                State::Calling(call) => {
                    let called = ready!(call.as_mut().poll(cx));
                    this.state = State::Over;
                    match called {
                        Ok((course, stream)) => this.state = State::Flowing(course, stream),
                        Err(told) => return Poll::Ready(Some(Err(told))),
                    }
                    continue;
                }
                State::Over => return Poll::Ready(None),
            };
            if let Some(last) = this.fail(&error) {
                return Poll::Ready(Some(last));
            }
        }
    }
}

/// What came before the seam is not the worker's to take back.
fn began_anew() -> WorkerError {
    WorkerError::new(WorkerErrorKind::Protocol, "the answer began anew where it was to be gone on with")
}
