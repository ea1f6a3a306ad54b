use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;

use crate::admission::Desk;
use crate::context::{Answering, Context, Permit};
use crate::error::{WorkerError, WorkerErrorKind};
use crate::request::PromptRequest;
use crate::runtime::cell::{Cell, lock};
use crate::stage::{Stage, StageConfig};
use crate::stats::Tally;
use crate::token::{Origin, TokenEvent, TokenStream};
use crate::worker::{InferenceRequest, ModelWorker, WorkerInfo};

/// The stage that calls a worker.
///
/// It takes one of the worker's [`Slots`](crate::worker::Slots), if it has any, before a request leaves the queue, and
/// keeps it, like the stage's own permit, until the token stream has ended or was dropped. It turns a stream that ends
/// without its terminal event into [`WorkerError::stream_cut`], and measures the tokens. It refuses a request with a
/// [`prefix`](InferenceRequest::prefix) where the worker does not say that it [`continues`](crate::worker::WorkerInfo), with
/// [`InvalidRequest`](WorkerErrorKind::InvalidRequest): the worker is not called.
///
/// Stands behind whatever hands on an [`InferenceRequest`], or directly behind the door: a bare [`PromptRequest`] goes
/// to the worker as it is.
pub struct InferenceStage {
    worker: Arc<dyn ModelWorker>,
}

impl InferenceStage {
    /// Calls `worker`.
    pub fn new(worker: impl ModelWorker) -> Self {
        Self::shared(Arc::new(worker))
    }

    /// Calls a worker that others use too.
    #[must_use]
    pub fn shared(worker: Arc<dyn ModelWorker>) -> Self {
        Self { worker }
    }

    /// Calls the worker. The request moves on before there is anything to wait for: an `async fn` would hold it three times.
    fn call(
        &self,
        mut request: InferenceRequest,
    ) -> impl Future<Output = Result<TokenStream, WorkerError>> + Send + use<'_> {
        let cx = request.context.clone();
        let called = if request.is_begun() && !self.worker.info().continues {
            Err(WorkerError::new(WorkerErrorKind::InvalidRequest, "the worker cannot go on with a begun answer"))
        } else {
            request.lease = cx.cell().lease(None);
            *lock(&cx.cell().extra().answering) = Answering::Of(Arc::downgrade(&self.worker));
            Ok(self.worker.infer(request))
        };
        async move {
            let stream = called?.await?;
            Ok(TokenStream::in_stage(&cx, Metered::new(stream, &cx, self.worker.clone())))
        }
    }

    fn config(&self) -> StageConfig {
        let config = StageConfig::new().spawned();
        match self.worker.slots() {
            Some(slots) => config.slots(slots),
            None => config,
        }
    }
}

impl Stage<InferenceRequest> for InferenceStage {
    type Out = TokenStream;
    type Error = WorkerError;

    fn run(
        &self,
        _cx: &Context,
        request: InferenceRequest,
    ) -> impl Future<Output = Result<TokenStream, WorkerError>> + Send {
        self.call(request)
    }

    fn name(&self) -> &str {
        "infer"
    }

    /// Spawned, as a worker may burn CPU, and limited by the worker's slots.
    fn defaults(&self) -> StageConfig {
        self.config()
    }
}

impl Stage<PromptRequest> for InferenceStage {
    type Out = TokenStream;
    type Error = WorkerError;

    fn run(
        &self,
        cx: &Context,
        prompt: PromptRequest,
    ) -> impl Future<Output = Result<TokenStream, WorkerError>> + Send {
        self.call(InferenceRequest::new(prompt, cx.clone()))
    }

    fn name(&self) -> &str {
        "infer"
    }

    /// Spawned, as a worker may burn CPU, and limited by the worker's slots.
    fn defaults(&self) -> StageConfig {
        self.config()
    }
}

impl fmt::Debug for InferenceStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InferenceStage").field("worker", &self.worker.info()).finish()
    }
}

/// A worker's stream with its permit, its times and its contract.
struct Metered {
    /// `None` once it has ended.
    flowing: Option<(TokenStream, Option<Permit>)>,
    cell: Arc<Cell>,
    /// Ticks of the last reading of the clock, 0 before the first.
    last: u64,
    /// Events since then.
    unread: u64,
    /// Whether the stream was pending since.
    waited: bool,
    gaps: Tally,
    /// The segment whose slot it holds.
    segment: Option<usize>,
    worker: Arc<dyn ModelWorker>,
}

/// How many events that were ready one after the other share one reading of the clock.
///
/// The time since the last reading is laid to them in equal parts. An event that the stream was waited for has a
/// reading of its own.
const SHARED_READING: u64 = 8;

impl Metered {
    fn new(stream: TokenStream, cx: &Context, worker: Arc<dyn ModelWorker>) -> Self {
        // A task of the stream keeps the permit itself: it is gone later than the stream.
        let permit = cx.hold_permit();
        permit.streams();
        let permit = stream.leave(permit);
        cx.cell().start_stream();
        Self {
            flowing: Some((stream, permit)),
            cell: cx.cell().clone(),
            last: 0,
            unread: 0,
            waited: false,
            gaps: Tally::default(),
            segment: cx.cell().segment(),
            worker,
        }
    }

    fn measure(&mut self, event: &mut TokenEvent) {
        let waited = std::mem::take(&mut self.waited);
        if let TokenEvent::Finish(finish) = event {
            // Not a token: the time up to it lies between nothing.
            let now = self.read_clock();
            self.cell.shared.counters.tokens(finish.usage);
            let extra = self.cell.extra();
            extra.last_event.store(now, Ordering::Relaxed);
            finish.origin.get_or_insert_with(|| {
                let WorkerInfo { name, model, .. } = self.worker.info();
                Box::new(Origin::new(name, model))
            });
            self.cell.finish(finish);
            let first_token = extra.first_token.load(Ordering::Relaxed);
            if let Some(desk) = self.desk()
                && first_token > 0
            {
                desk.measured(&self.cell, finish.usage, first_token);
            }
            return;
        }
        self.unread += 1;
        if waited || self.last == 0 || self.unread == SHARED_READING {
            self.read_clock();
        }
    }

    fn desk(&self) -> Option<&Desk> {
        self.cell.shared.segments.get(self.segment?)?.desk.as_ref()
    }

    /// Reads the clock and books the events since the last reading.
    fn read_clock(&mut self) -> u64 {
        let now = self.cell.shared.clock.now();
        if self.unread == 0 {
            return now;
        }
        let counters = &self.cell.shared.counters;
        let extra = self.cell.extra();
        if self.last == 0 {
            counters.first_token.record(now.saturating_sub(self.cell.submitted));
            extra.first_token.store(now, Ordering::Relaxed);
        } else {
            let gap = now.saturating_sub(self.last) / self.unread;
            self.gaps.record_many(gap, self.unread, &counters.between_tokens);
        }
        self.last = now;
        self.unread = 0;
        extra.last_event.store(now, Ordering::Relaxed);
        now
    }

    /// Lets go of the worker's stream and of the permit.
    fn end(&mut self) {
        self.flowing = None;
        self.read_clock();
        self.gaps.flush(&self.cell.shared.counters.between_tokens);
    }
}

impl Stream for Metered {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // Looked at where it lies: an event is moved no more often than it has to be.
        let mut polled = match &mut this.flowing {
            Some((stream, _)) => Pin::new(stream).poll_next(cx),
            None => Poll::Ready(None),
        };
        match &mut polled {
            Poll::Ready(Some(Ok(event))) => {
                this.measure(event);
                if event.is_terminal() {
                    this.end();
                }
            }
            Poll::Ready(Some(Err(_))) => this.end(),
            Poll::Ready(None) if this.flowing.is_none() => {}
            Poll::Ready(None) => {
                this.end();
                polled = Poll::Ready(Some(Err(WorkerError::stream_cut())));
            }
            Poll::Pending => {
                if this.unread > 0 {
                    // What was ready before is booked now, so that the wait is laid to the event that is waited for.
                    this.read_clock();
                }
                this.waited = true;
            }
        }
        polled
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.end();
    }
}
