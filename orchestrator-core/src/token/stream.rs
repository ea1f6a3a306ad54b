use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use crate::error::WorkerError;
use crate::runtime::cell::lock;
use crate::runtime::permit::Permit;
use crate::token::emitter::{Emitter, Generate};
use crate::token::in_stage::InStage;
use crate::token::observer::{Observer, Observers};
use crate::token::pulse::Pulse;
use crate::token::spawned::{Keeps, Spawned};
use crate::token::{Finish, TokenEvent};
use crate::worker::Slot;

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
    /// Whether it was looked at, or somebody observes it: all others go a shorter way.
    watched: bool,
    /// Looked at and not taken yet. Boxed, as few streams are looked at, and all of them are moved.
    peeked: Option<Box<Result<TokenEvent, WorkerError>>>,
    observers: Observers,
    /// Slots that it has, where no task keeps them.
    slots: Vec<Slot>,
}

impl TokenStream {
    /// Wraps a stream.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + 'static,
    {
        Self {
            stream: Box::pin(stream),
            over: false,
            keeps: None,
            pulse: None,
            watched: false,
            peeked: None,
            observers: Observers::default(),
            slots: Vec::new(),
        }
    }

    /// Wraps a stream that belongs to the stage that runs now: a panic in it is that stage's error, where the pipeline or a
    /// later stage meets it, and goes on to any other reader.
    ///
    /// For stages that adapt a stream and hand it on.
    pub fn in_stage<S>(cx: &crate::context::Context, stream: S) -> Self
    where
        S: Stream<Item = Result<TokenEvent, WorkerError>> + Send + Unpin + 'static,
    {
        Self::from_stream(InStage::new(cx, stream))
    }

    /// Runs `work` whenever the reader polls, in the reader's task.
    ///
    /// `work` ends when its reader goes: there is no task that could outlive it. An `Err` becomes the last item.
    pub fn generate<F, Fut>(work: F) -> Self
    where
        F: FnOnce(Emitter) -> Fut,
        Fut: Future<Output = Result<(), WorkerError>> + Send + 'static,
    {
        Self::from_stream(Generate::new(work))
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
        let keeps = Keeps::default();
        let stream = Self::from_stream(Spawned::new(Self::generate(work), ahead, keeps.clone()));
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

    /// How many beats there were.
    pub(crate) fn beats(&self) -> u64 {
        self.pulse.as_ref().map_or(0, Pulse::beats)
    }

    pub(super) const fn pulse(&self) -> Option<&Pulse> {
        self.pulse.as_ref()
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

    /// Has somebody told how the stream goes: of its first event, and of its end.
    ///
    /// From event to event this costs less than a stream [around](Self::wrap) it.
    #[must_use]
    pub fn observed(mut self, observer: impl Observer + 'static) -> Self {
        self.watched = true;
        self.observers.push(Box::new(observer));
        self
    }

    /// Has the stream keep a slot until it, and the task that works for it, are gone.
    ///
    /// For workers around several servers, which bind a request to one of them when it is called.
    #[must_use]
    pub fn keep(mut self, slot: Slot) -> Self {
        match &self.keeps {
            Some(keeps) => lock(keeps).slots.push(slot),
            None => self.slots.push(slot),
        }
        self
    }

    /// Waits for the next event and leaves it in the stream; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peek(&mut self) -> Option<&Result<TokenEvent, WorkerError>> {
        if self.peeked.is_none() {
            self.peeked = self.next().await.map(Box::new);
            self.watched = true;
        }
        self.peeked.as_deref()
    }

    /// Ends the answer here, for whoever knows that nothing behind this belongs to it: those who observe the stream are told
    /// so, and may add to the terminal event. It yields `None` from then on.
    pub fn end_with(&mut self, finish: &mut Finish) {
        self.over = true;
        self.peeked = None;
        self.observers.finished(finish);
    }

    /// Polls a stream of which an event was looked at, or that somebody observes.
    #[inline(never)]
    fn poll_watched(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<TokenEvent, WorkerError>>> {
        if let Some(peeked) = self.peeked.take() {
            return Poll::Ready(Some(*peeked));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let mut polled = Poll::Pending;
        // Nobody who catches a panic further out could tell the observers of it.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| polled = self.stream.as_mut().poll_next(cx))) {
            self.over = true;
            self.observers.panicked();
            resume_unwind(panic);
        }
        if let Poll::Ready(item) = &mut polled {
            self.over = is_last(item);
            self.observers.tell(item, self.over);
        }
        polled
    }

    pub(super) const fn keeps(&self) -> Option<&Keeps> {
        self.keeps.as_ref()
    }

    pub(super) fn with_keeps(self, keeps: Keeps) -> Self {
        Self { keeps: Some(keeps), ..self }
    }

    /// Leaves the permit with the task that works for the stream; gives it back where there is none.
    pub(crate) fn leave(&self, permit: Permit) -> Option<Permit> {
        match &self.keeps {
            Some(keeps) => {
                lock(keeps).permit = Some(permit);
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
        let this = &mut *self;
        if this.watched {
            return this.poll_watched(cx);
        }
        if this.over {
            return Poll::Ready(None);
        }
        let polled = this.stream.as_mut().poll_next(cx);
        if let Poll::Ready(item) = &polled {
            this.over = is_last(item);
        }
        polled
    }
}

/// Whether nothing comes behind an item.
fn is_last(item: &Option<Result<TokenEvent, WorkerError>>) -> bool {
    !matches!(item, Some(Ok(event)) if !event.is_terminal())
}

impl fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStream").finish_non_exhaustive()
    }
}
