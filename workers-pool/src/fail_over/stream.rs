use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{TokenEvent, TokenStream};
use orchestrator_core::worker::ModelWorker;

use super::course::{Called, Course};
use super::seam::{Known, Seam};

/// The streams of one call after the other, as one.
pub(super) struct FailingOver<W> {
    state: State<W>,
    /// What comes before the stream is read again.
    waiting: VecDeque<TokenEvent>,
    seam: Seam,
}

enum State<W> {
    Flowing(Box<Course<W>>, TokenStream),
    /// Between two streams.
    Calling(BoxFuture<'static, Called<W>>),
    Over,
}

impl<W: ModelWorker> FailingOver<W> {
    pub(super) fn new(course: Box<Course<W>>, stream: TokenStream) -> Self {
        Self { state: State::Flowing(course, stream), waiting: VecDeque::new(), seam: Seam::default() }
    }

    /// Hands on an event, or `Reset` before it.
    #[inline]
    fn hand_on(&mut self, mut event: TokenEvent) -> TokenEvent {
        let State::Flowing(course, _) = &mut self.state else { return event };
        if course.takes_back() {
            self.waiting.push_front(event);
            return TokenEvent::Reset;
        }
        course.delivers(&mut event);
        if event.is_terminal() {
            self.state = State::Over;
        }
        event
    }

    /// Has an event wait until it is clear that no stop text lies across the seam.
    #[cold]
    fn pass_the_seam(&mut self, event: TokenEvent) {
        let State::Flowing(course, stream) = &mut self.state else { return };
        match self.seam.take(event) {
            Known::Nothing => {}
            Known::GoesOn(held) => self.waiting.extend(held),
            Known::Stops => {
                self.seam = Seam::default();
                let mut finish = course.stopped();
                // Whoever goes on is known by those who watch its stream.
                stream.end_with(&mut finish);
                self.waiting.push_back(TokenEvent::Finish(finish));
            }
        }
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

    fn go_on(&mut self, course: Box<Course<W>>, stream: TokenStream) {
        self.seam = course.seam();
        self.state = State::Flowing(course, stream);
    }
}

impl<W: ModelWorker> Stream for FailingOver<W> {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.waiting.pop_front() {
                return Poll::Ready(Some(Ok(this.hand_on(event))));
            }
            let failed = match &mut this.state {
                State::Flowing(course, stream) => match ready!(Pin::new(stream).poll_next(cx)) {
                    Some(Ok(TokenEvent::Reset)) if course.goes_on() => began_anew(),
                    Some(Ok(event)) if this.seam.is_clear() => return Poll::Ready(Some(Ok(this.hand_on(event)))),
                    Some(Ok(event)) => {
                        this.pass_the_seam(event);
                        continue;
                    }
                    Some(Err(error)) => error,
                    None => WorkerError::stream_cut(),
                },
                State::Calling(call) => {
                    let called = ready!(call.as_mut().poll(cx));
                    this.state = State::Over;
                    match called {
                        Ok((course, stream)) => this.go_on(course, stream),
                        Err(told) => return Poll::Ready(Some(Err(told))),
                    }
                    continue;
                }
                State::Over => return Poll::Ready(None),
            };
            if let Some(last) = this.fail(&failed) {
                return Poll::Ready(Some(last));
            }
        }
    }
}

/// What came before the seam is not the worker's to take back.
fn began_anew() -> WorkerError {
    WorkerError::new(WorkerErrorKind::Protocol, "the answer began anew where it was to be gone on with")
}
