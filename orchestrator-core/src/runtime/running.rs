use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;

use crate::error::BoxError;
use crate::runtime::cell::Cell;
use crate::runtime::job::{Guard, Parcel};
use crate::runtime::permit::Unit;
use crate::stage::Stage;

/// What a run gives back beside its result: everything that was lent to it.
pub(crate) struct Done<S, Out> {
    pub(crate) stage: Arc<S>,
    pub(crate) guard: Guard,
    pub(crate) unit: Option<Arc<Unit>>,
    /// The outer error is a panic.
    pub(crate) result: std::thread::Result<Result<Out, BoxError>>,
}

/// A [`Done`] of stage `S` behind a stage that hands on `In`.
pub(crate) type DoneOf<S, In> = Done<S, <S as Stage<In>>::Out>;

/// Runs a stage for one request. The future owns all it needs, so that dropping it lets go of everything.
pub(crate) async fn run<S, In>(stage: Arc<S>, guard: Guard, unit: Option<Arc<Unit>>, input: In) -> DoneOf<S, In>
where
    S: Stage<In>,
    In: Send + 'static,
{
    // The block, so that a panic before the first await is caught too.
    let run = async { stage.run(guard.context(), input).await.map_err(Into::into) };
    let result = AssertUnwindSafe(run).catch_unwind().await;
    Done { stage, guard, unit, result }
}

/// A slot that a future can be polled in where it is, and moved with once it is pending.
pub(crate) type Spot<F> = Pin<Box<Option<F>>>;

/// Where a pending run is polled.
pub(crate) enum Work<F, D> {
    Here(Spot<F>),
    Task(AbortOnDropHandle<D>),
}

/// A pending run with what is needed to end it from outside.
pub(crate) struct Running<F, D, Out> {
    work: Option<Work<F, D>>,
    pub(crate) cell: Arc<Cell>,
    parcel: Option<Parcel<Out>>,
    span: Span,
    pub(crate) started: u64,
    /// The nearer of the request's deadline and the stage's time limit, in ticks.
    pub(crate) bound: u64,
    pub(crate) number: u64,
    /// Whether the segment counts it, because it has no unit.
    pub(crate) local: bool,
}

/// How a pending run ended.
pub(crate) struct Ended<D, Out> {
    pub(crate) number: u64,
    pub(crate) local: bool,
    pub(crate) cell: Arc<Cell>,
    pub(crate) started: u64,
    /// `None` where the request had been settled before.
    pub(crate) done: Option<(D, Parcel<Out>)>,
}

/// What is known of a run before it is polled.
pub(crate) struct Start<Out> {
    pub(crate) cell: Arc<Cell>,
    pub(crate) parcel: Parcel<Out>,
    pub(crate) span: Span,
    pub(crate) started: u64,
    pub(crate) bound: u64,
    pub(crate) number: u64,
    pub(crate) local: bool,
}

impl<F, D, Out> Running<F, D, Out> {
    pub(crate) fn new(work: Work<F, D>, start: Start<Out>) -> Self {
        let Start { cell, parcel, span, started, bound, number, local } = start;
        Self { work: Some(work), cell, parcel: Some(parcel), span, started, bound, number, local }
    }

    /// Drops the work, and tells that nothing comes of it.
    fn give_up(&mut self) -> Ended<D, Out> {
        self.work = None;
        self.ended(None)
    }

    fn ended(&mut self, done: Option<D>) -> Ended<D, Out> {
        Ended {
            number: self.number,
            local: self.local,
            cell: self.cell.clone(),
            started: self.started,
            done: done.zip(self.parcel.take()),
        }
    }
}

impl<F, D, Out> Future for Running<F, D, Out>
where
    F: Future<Output = D>,
{
    type Output = Ended<D, Out>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.cell.is_settled() {
            return Poll::Ready(this.give_up());
        }
        let polled = match &mut this.work {
            Some(Work::Here(spot)) => {
                let _in_span = this.span.enter();
                match spot.as_mut().as_pin_mut() {
                    Some(future) => future.poll(cx).map(Some),
                    None => Poll::Ready(None),
                }
            }
            // A task that is gone without a result was ended by its runtime; dropping it has settled the request.
            Some(Work::Task(task)) => Pin::new(task).poll(cx).map(Result::ok),
            None => Poll::Ready(None),
        };
        match polled {
            Poll::Ready(Some(done)) => Poll::Ready(this.ended(Some(done))),
            Poll::Ready(None) => Poll::Ready(this.give_up()),
            Poll::Pending => {
                this.cell.runner.register(cx.waker());
                if this.cell.is_settled() {
                    return Poll::Ready(this.give_up());
                }
                Poll::Pending
            }
        }
    }
}

// Nothing in it is pinned in place: the future lies in a box, the task behind a handle.
impl<F, D, Out> Unpin for Running<F, D, Out> {}
