use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::{Instant, Sleep};

use crate::error::{Phase, WorkerError};
use crate::token::{TokenEvent, TokenStream};

/// How many events that were ready one after the other pass between two looks at the limit of the whole call.
const EVENTS_PER_LOOK: u32 = 64;

/// How long a worker is waited for, phase by phase; `None` waits for ever.
///
/// The one implementation that all workers share. Connecting has a limit of its own in the workers that connect.
///
/// Between tokens, time counts only while the next one is asked for: a reader that takes its time is not the server's fault
/// (the pipeline's `reader_stall` is for that). The other two are times on the clock since the call, whoever is slow; but what
/// is there when it is asked for is handed on, and only then the limit is looked at.
///
/// | limit | unless set |
/// |---|---|
/// | first token | 120 s: a long prompt on a processor takes its time |
/// | between tokens | 30 s |
/// | total | none: the request's deadline is there for that |
///
/// # Examples
///
/// In a worker of one's own:
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::error::Phase;
/// use orchestrator_core::worker::Timeouts;
///
/// struct Silent;
///
/// #[async_trait]
/// impl ModelWorker for Silent {
///     async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
///         let call = std::future::pending();
///         Timeouts::default().first_token(Duration::from_millis(5)).run(call).await
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let request = InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()));
/// let error = Silent.infer(request).await.expect_err("it says nothing");
/// assert_eq!(error.kind(), WorkerErrorKind::Timeout(Phase::FirstToken));
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From the call to the first delta: connecting, queueing at the server, and prefill.
    pub first_token: Option<Duration>,
    /// From one event to the next, or from the last [`Pulse`](crate::token::Pulse) to it.
    pub between_tokens: Option<Duration>,
    /// From the call to the terminal event.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { first_token: Some(Duration::from_secs(120)), between_tokens: Some(Duration::from_secs(30)), total: None }
    }
}

impl Timeouts {
    /// Waits for ever in every phase.
    #[must_use]
    pub const fn none() -> Self {
        Self { first_token: None, between_tokens: None, total: None }
    }

    /// Limits the time from the call to the first delta.
    #[must_use]
    pub const fn first_token(mut self, limit: Duration) -> Self {
        self.first_token = Some(limit);
        self
    }

    /// Limits the time from one event to the next.
    #[must_use]
    pub const fn between_tokens(mut self, limit: Duration) -> Self {
        self.between_tokens = Some(limit);
        self
    }

    /// Limits the time from the call to the terminal event.
    #[must_use]
    pub const fn total(mut self, limit: Duration) -> Self {
        self.total = Some(limit);
        self
    }

    /// Returns the limits of a request: its own, where its caller [set](crate::request::RequestOptions::timeouts) some, or else
    /// these.
    #[must_use]
    pub fn of(self, context: &crate::context::Context) -> Self {
        context.options().timeouts.as_deref().copied().unwrap_or(self)
    }

    /// Runs a call within the limits, and its stream too. What takes too long is dropped, and with it the connection.
    ///
    /// # Errors
    ///
    /// Those of the call, and [`Timeout`](crate::error::WorkerErrorKind::Timeout) with the phase; behind the first event both
    /// are items of the stream.
    pub async fn run(
        self,
        call: impl Future<Output = Result<TokenStream, WorkerError>>,
    ) -> Result<TokenStream, WorkerError> {
        if self == Self::none() {
            return call.await;
        }
        let started = Instant::now();
        let mut call = pin!(call);
        // A call that is over at once needs no timer.
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        let stream = match (first, self.limit(started, None)) {
            (Poll::Ready(stream), _) => stream?,
            (Poll::Pending, None) => call.await?,
            (Poll::Pending, Some((at, _))) => match tokio::time::timeout_at(at, call).await {
                Ok(stream) => stream?,
                Err(_) => return Err(self.error(started, None)),
            },
        };
        Ok(stream.wrap(|stream| Timed {
            beats: stream.beats(),
            flowing: Some(stream),
            limits: self,
            started,
            waiting_since: None,
            had_event: false,
            ready: 0,
            alarm: None,
            woken: None,
        }))
    }

    /// The next limit that passes if nothing comes, in the phase before the first token or since the last event.
    fn limit(self, started: Instant, since: Option<Instant>) -> Option<(Instant, Phase)> {
        let silent = match since {
            None => self.first_token.map(|limit| (started, limit, Phase::FirstToken)),
            Some(since) => self.between_tokens.map(|limit| (since, limit, Phase::BetweenTokens)),
        };
        let total = self.total.map(|limit| (started, limit, Phase::Total));
        // What the clock does not reach is no limit.
        let at = |(from, limit, phase): (Instant, Duration, Phase)| from.checked_add(limit).map(|at| (at, phase));
        [silent, total].into_iter().flatten().filter_map(at).min_by_key(|(at, _)| *at)
    }

    fn error(self, started: Instant, since: Option<Instant>) -> WorkerError {
        let phase = self.limit(started, since).map_or(Phase::Total, |(_, phase)| phase);
        let limit = match phase {
            Phase::FirstToken => self.first_token,
            Phase::BetweenTokens => self.between_tokens,
            _ => self.total,
        };
        WorkerError::timeout(phase, limit.unwrap_or_default())
    }
}

/// A stream within its limits.
///
/// One timer for all of them, set for the nearest limit as it was known then. Events don't touch it: when it fires it looks how
/// long the stream has really been waited for, and is set again.
struct Timed {
    /// `None` once a limit has passed.
    flowing: Option<TokenStream>,
    limits: Timeouts,
    started: Instant,
    /// When the stream began to be waited for, behind an event.
    waiting_since: Option<Instant>,
    had_event: bool,
    /// How many beats of its pulse were seen.
    beats: u64,
    /// Events since the last look at the limit of the whole call.
    ready: u32,
    /// `None` while there is no limit in this phase, and until the stream is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whom the alarm wakes and when, once it is set for a limit between tokens: these only move away.
    woken: Option<(Waker, Instant)>,
}

impl Timed {
    fn event(&mut self) -> Option<WorkerError> {
        self.had_event = true;
        self.waiting_since = None;
        self.ready += 1;
        if self.ready < EVENTS_PER_LOOK {
            return None;
        }
        self.ready = 0;
        let over = self.limits.total.is_some_and(|total| self.started.elapsed() >= total);
        over.then(|| WorkerError::timeout(Phase::Total, self.limits.total.unwrap_or_default()))
    }

    /// Waits for the nearest limit; ready when it has passed.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<WorkerError> {
        let beats = self.flowing.as_ref().map_or(0, TokenStream::beats);
        let lives = std::mem::replace(&mut self.beats, beats) != beats;
        if self.had_event && (lives || self.waiting_since.is_none()) {
            let now = Instant::now();
            self.waiting_since = Some(now);
            // The alarm itself lies elsewhere in memory, where nothing else is needed for an event.
            if self.woken.as_ref().is_some_and(|(woken, at)| now < *at && woken.will_wake(cx.waker())) {
                return Poll::Pending;
            }
        }
        loop {
            let Some((at, _)) = self.limits.limit(self.started, self.waiting_since) else {
                self.alarm = None;
                return Poll::Pending;
            };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            // Behind the first token the limit may be nearer than before; later it only moves away.
            if alarm.deadline() > at {
                alarm.as_mut().reset(at);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                self.woken = self.had_event.then(|| (cx.waker().clone(), alarm.deadline()));
                return Poll::Pending;
            }
            if alarm.deadline() >= at {
                return Poll::Ready(self.limits.error(self.started, self.waiting_since));
            }
            alarm.as_mut().reset(at);
        }
    }
}

impl Stream for Timed {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.flowing else { return Poll::Ready(None) };
        // What has come in time counts, however late it is asked for.
        let over = match Pin::new(stream).poll_next(cx) {
            Poll::Ready(Some(Ok(event))) => match this.event() {
                Some(over) if !event.is_terminal() => over,
                _ => return Poll::Ready(Some(Ok(event))),
            },
            Poll::Ready(other) => return Poll::Ready(other),
            Poll::Pending => ready!(this.poll_limit(cx)),
        };
        this.flowing = None;
        Poll::Ready(Some(Err(over)))
    }
}
