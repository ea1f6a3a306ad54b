use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;

use crate::error::{Error, WorkerError};
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::permit::Permit;
use crate::runtime::spans;
use crate::token::TokenEvent;

/// A worker's answer, pulled by whoever reads it.
///
/// Nothing runs unless the stream is polled, and dropping it drops the work behind it. After its terminal event or
/// an error it yields `None`.
///
/// | to make one from | use |
/// |---|---|
/// | a stream that exists already | [`from_stream`](Self::from_stream) |
/// | a block of code that awaits | [`generate`](Self::generate) |
/// | work that must go on between the reader's polls | [`spawn`](Self::spawn) |
///
/// # Examples
///
/// ```
/// use orchestrator_core::token::{FinishReason, TokenEvent, TokenStream, Usage};
///
/// let stream = TokenStream::generate(async move |mut out| {
///     for word in ["to ", "be"] {
///         out.text(word).await;
///     }
///     out.finish(FinishReason::Stop, Usage::new(3, 2)).await;
///     Ok(())
/// });
/// # drop(stream);
/// ```
pub struct TokenStream {
    stream: Pin<Box<dyn Stream<Item = Result<TokenEvent, WorkerError>> + Send>>,
    /// The terminal event, an error or the end has been handed on.
    over: bool,
    /// Where a task works for the stream: what it shall keep until it is really gone.
    keeps: Option<Keeps>,
    pulse: Option<Pulse>,
}

/// A sign of life of a server that has nothing to say yet: it holds back half a character, or a tool call that it reads first.
///
/// Between two events, time limits count from the last one.
///
/// ```
/// use orchestrator_core::token::{Pulse, TokenStream};
///
/// let pulse = Pulse::default();
/// let beats = pulse.clone();
/// let stream = TokenStream::generate(async move |mut out| {
///     beats.beat();
///     out.text("late").await;
///     Ok(())
/// });
/// let stream = stream.with_pulse(pulse);
/// # drop(stream);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicBool>);

impl Pulse {
    /// Says that the server lives.
    pub fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// A place for the permit of a stream's task, which drops it last.
type Keeps = Arc<Mutex<Option<Permit>>>;

impl TokenStream {
    /// Wraps a stream.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + 'static,
    {
        Self { stream: Box::pin(stream), over: false, keeps: None, pulse: None }
    }

    /// Wraps a stream that belongs to the stage that runs now: a panic in it is that stage's error.
    ///
    /// For stages that adapt a stream and hand it on.
    pub fn in_stage<S>(cx: &crate::context::Context, stream: S) -> Self
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + Unpin + 'static,
    {
        cx.cell().mark_source();
        Self::from_stream(InStage {
            stream: Some(stream),
            stage: cx.cell().stage_name(),
            span: spans::enabled().then(Span::current),
            cell: cx.cell().clone(),
        })
    }

    /// Runs `work` whenever the reader polls, in the reader's task.
    ///
    /// `work` ends when its reader goes: there is no task that could outlive it. An `Err` becomes the last item.
    pub fn generate<F, Fut>(work: F) -> Self
    where
        F: FnOnce(Emitter) -> Fut,
        Fut: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let work = work(Emitter { slot: slot.clone() });
        Self::from_stream(Generate { work: Some(Box::pin(work)), failed: None, slot })
    }

    /// Runs `work` in a task of its own, at most `ahead` events ahead of the reader (at least one).
    ///
    /// Use it where the work must go on while nobody polls; the task is aborted when the stream is dropped.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn spawn<F, Fut>(ahead: usize, work: F) -> Self
    where
        F: FnOnce(Emitter) -> Fut,
        Fut: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        let mut inner = Self::generate(work);
        let (sender, receiver) = tokio::sync::mpsc::channel(ahead.max(1));
        let keeps = Keeps::default();
        let kept = keeps.clone();
        let task = tokio::spawn(async move {
            let _kept = kept;
            while let Some(event) = inner.next().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        let stream = Self::from_stream(Spawned { receiver, task: Some(AbortOnDropHandle::new(task)) });
        Self { keeps: Some(keeps), ..stream }
    }

    /// Goes on behind the terminal event, to see what the worker puts there.
    #[cfg(feature = "test-util")]
    pub(crate) const fn look_behind_its_end(&mut self) {
        self.over = false;
    }

    /// Lets time limits hear the pulse of the server behind the stream.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse: Some(pulse), ..self }
    }

    /// Whether there was a beat since it was asked last.
    pub(crate) fn had_beat(&self) -> bool {
        self.pulse.as_ref().is_some_and(Pulse::take)
    }

    /// Puts a stream around this one, for workers around workers: its pulse, and the task that works for it, are kept.
    #[must_use]
    pub fn wrap<S>(self, wrap: impl FnOnce(Self) -> S) -> Self
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + 'static,
    {
        let (keeps, pulse) = (self.keeps.clone(), self.pulse.clone());
        Self { keeps, pulse, ..Self::from_stream(wrap(self)) }
    }

    /// Leaves the permit with the task that works for the stream; gives it back where there is none.
    pub(crate) fn leave(&self, permit: Permit) -> Option<Permit> {
        match &self.keeps {
            Some(keeps) => {
                *lock(keeps) = Some(permit);
                None
            }
            None => Some(permit),
        }
    }

    /// Waits for the next event; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an event that was not returned stays in the stream.
    pub async fn next(&mut self) -> Option<Result<TokenEvent, WorkerError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for TokenStream {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let polled = self.stream.as_mut().poll_next(cx);
        if let Poll::Ready(item) = &polled {
            self.over = !matches!(item, Some(Ok(event)) if !event.is_terminal());
        }
        polled
    }
}

impl fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStream").finish_non_exhaustive()
    }
}

/// The writing end inside [`TokenStream::generate`] and [`TokenStream::spawn`].
///
/// Every method waits until the reader has taken the event. It may be moved to another task or thread, as long as the
/// work waits for that.
///
/// # Cancel safety
///
/// An event whose future is dropped is either handed on or was not started to be: none is overwritten by the next one.
#[derive(Debug)]
pub struct Emitter {
    slot: Arc<Mutex<Slot>>,
}

impl Emitter {
    /// Hands on any event.
    pub async fn emit(&mut self, event: TokenEvent) {
        let mut event = Some(event);
        std::future::poll_fn(|cx| {
            let mut slot = lock(&self.slot);
            let mut reader = None;
            if slot.event.is_none() {
                match event.take() {
                    // It has been taken.
                    None => return Poll::Ready(()),
                    stored => {
                        slot.event = stored;
                        reader = slot.reader.take();
                    }
                }
            }
            slot.emitter = Some(cx.waker().clone());
            drop(slot);
            // The reader polls the work itself, unless that is elsewhere.
            if let Some(reader) = reader.filter(|r| !r.will_wake(cx.waker())) {
                reader.wake();
            }
            Poll::Pending
        })
        .await;
    }

    /// Hands on a piece of text.
    pub async fn text(&mut self, text: impl Into<compact_str::CompactString>) {
        self.emit(TokenEvent::text_delta(text)).await;
    }

    /// Hands on the terminal event.
    pub async fn finish(&mut self, reason: crate::token::FinishReason, usage: crate::token::Usage) {
        self.emit(TokenEvent::finish(reason, usage)).await;
    }
}

#[derive(Debug, Default)]
struct Slot {
    event: Option<TokenEvent>,
    /// Who waits in `emit`: not always the reader's own waker, `work` may poll it inside a `select!` of its own.
    emitter: Option<Waker>,
    /// Who waits for an event.
    reader: Option<Waker>,
}

struct Generate<Fut> {
    work: Option<Pin<Box<Fut>>>,
    /// How the work ended, while its last event is on its way.
    failed: Option<WorkerError>,
    slot: Arc<Mutex<Slot>>,
}

impl<Fut> Stream for Generate<Fut>
where
    Fut: Future<Output = Result<(), WorkerError>>,
{
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(work) = this.work.as_mut() else {
            return Poll::Ready(this.failed.take().map(Err));
        };
        let emitter = {
            let mut slot = lock(&this.slot);
            slot.reader = Some(cx.waker().clone());
            slot.emitter.take()
        };
        if let Some(emitter) = emitter.filter(|w| !w.will_wake(cx.waker())) {
            emitter.wake();
        }
        let done = work.as_mut().poll(cx);
        let event = lock(&this.slot).event.take();
        if let Poll::Ready(result) = done {
            this.work = None;
            this.failed = result.err();
        }
        match event {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None if this.work.is_none() => Poll::Ready(this.failed.take().map(Err)),
            None => Poll::Pending,
        }
    }
}

struct InStage<S> {
    /// `None` after a panic.
    stream: Option<S>,
    stage: Arc<str>,
    /// The stage's span, which lasts as long as its stream.
    span: Option<Span>,
    cell: Arc<Cell>,
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

struct Spawned {
    receiver: tokio::sync::mpsc::Receiver<Result<TokenEvent, WorkerError>>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Stream for Spawned {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = std::task::ready!(self.receiver.poll_recv(cx)) {
            return Poll::Ready(Some(event));
        }
        let Some(task) = self.task.as_mut() else {
            return Poll::Ready(None);
        };
        let ended = std::task::ready!(Pin::new(task).poll(cx));
        self.task = None;
        if let Err(panicked) = ended.map_err(tokio::task::JoinError::try_into_panic) {
            // The reader's side names the stage and turns it into an error.
            std::panic::resume_unwind(panicked.unwrap_or_else(|_| Box::new("the task was aborted")));
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{FinishReason, Usage};

    async fn read(mut stream: TokenStream) -> String {
        let mut read = String::new();
        while let Some(event) = stream.next().await {
            match event.expect("no error") {
                TokenEvent::Finish(_) => read.push('.'),
                event => read.push_str(event.text()),
            }
        }
        read
    }

    async fn two_words(mut out: Emitter) -> Result<(), WorkerError> {
        out.text("to ").await;
        tokio::task::yield_now().await;
        out.text("be").await;
        out.finish(FinishReason::Stop, Usage::default()).await;
        Ok(())
    }

    #[tokio::test]
    async fn generated_and_spawned_streams_hand_on_every_event() {
        assert_eq!(read(TokenStream::generate(two_words)).await, "to be.");
        assert_eq!(read(TokenStream::spawn(1, two_words)).await, "to be.");
    }

    #[tokio::test]
    async fn an_event_is_handed_on_before_the_work_goes_on() {
        let mut stream = TokenStream::generate(async move |mut out| {
            out.text("first").await;
            std::future::pending::<()>().await;
            Ok(())
        });
        assert_eq!(stream.next().await.expect("one").expect("ok").text(), "first");
    }

    #[tokio::test]
    async fn an_error_is_the_last_item() {
        let mut stream = TokenStream::generate(async |_out| Err(WorkerError::stream_cut()));
        assert!(stream.next().await.expect("one").is_err());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn an_event_is_not_lost_when_its_emitting_is_cancelled() {
        let stream = TokenStream::generate(async move |mut out| {
            assert!(futures_util::poll!(std::pin::pin!(out.text("a"))).is_pending());
            out.text("b").await;
            assert!(futures_util::poll!(std::pin::pin!(out.text("c"))).is_pending());
            Ok(())
        });
        assert_eq!(read(stream).await, "abc");
    }

    #[tokio::test]
    async fn nothing_comes_after_the_terminal_event_or_an_error() {
        let text = || Ok(TokenEvent::text_delta("a"));
        let finish = Ok(TokenEvent::finish(FinishReason::Stop, Usage::default()));
        for last in [finish, Err(WorkerError::stream_cut())] {
            let mut stream = TokenStream::from_stream(futures_util::stream::iter([text(), last, text()]));
            assert!(stream.next().await.is_some() && stream.next().await.is_some());
            assert!(stream.next().await.is_none() && stream.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_stream_that_panics_in_its_stage_does_not_look_whole() {
        let cx = crate::context::Context::standalone(crate::request::RequestOptions::new());
        let panics = futures_util::stream::poll_fn(|_| panic!("in the stream"));
        let mut stream = TokenStream::in_stage(&cx, panics);
        assert!(stream.next().await.expect("an item").is_err());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn an_emitter_may_live_in_another_task() {
        let stream = TokenStream::generate(async move |mut out| {
            tokio::spawn(async move {
                out.text("a").await;
                out.text("b").await;
            })
            .await
            .map_err(|_| WorkerError::stream_cut())
        });
        let all = tokio::time::timeout(std::time::Duration::from_secs(5), read(stream)).await;
        assert_eq!(all.expect("it does not hang"), "ab");
    }

    #[tokio::test]
    async fn emitting_inside_a_select_of_the_works_own_is_woken() {
        let stream = TokenStream::generate(async move |mut out| {
            let mut inner = futures_util::stream::FuturesUnordered::new();
            inner.push(async move {
                out.text("a").await;
                out.text("b").await;
            });
            futures_util::StreamExt::next(&mut inner).await;
            Ok(())
        });
        assert_eq!(read(stream).await, "ab");
    }
}
