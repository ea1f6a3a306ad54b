use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Span;

use crate::error::BoxError;
use crate::runtime::cell::{Cell, lock};
use crate::runtime::job::{Guard, Parcel, reuse};
use crate::runtime::permit::{Unit, discard};
use crate::stage::Stage;

/// A stage, lent to one run after the other.
pub(crate) struct Lent<S> {
    pub(crate) stage: S,
    /// Left by a run whose first poll was pending: whose run it is.
    ///
    /// The request's cell moves into the run and comes back with its end, so that a run that ends at once costs no
    /// reference count; only whoever has to wait for it needs a reference of its own.
    pub(crate) pending: Mutex<Option<Arc<Cell>>>,
}

/// What a run gives back beside its result: everything that was lent to it.
pub(crate) struct Done<S, Out> {
    pub(crate) stage: Arc<Lent<S>>,
    pub(crate) guard: Guard,
    /// Dropped before the unit: a slot is free only when what used it is gone.
    /// Two words with the failure in a box, which pass through registers.
    pub(crate) result: Result<Parcel<Out>, Box<Failure>>,
    pub(crate) unit: Option<Arc<Unit>>,
}

/// Why a run has no output.
pub(crate) enum Failure {
    Error(BoxError),
    Panic(Box<dyn Any + Send>),
}

/// A [`Done`] of stage `S` behind a stage that hands on `In`.
pub(crate) type DoneOf<S, In> = Done<S, <S as Stage<In>>::Out>;

/// Runs a stage for one request. The future owns all it needs, so that dropping it lets go of everything.
///
/// With `tells` it leaves its cell in `stage` when its first poll is pending.
///
/// In- and output stay in their box but for the stage's own call: the future is moved about before its first poll, and
/// should be small.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` moves its arguments once more, which costs a twentieth of a hop"
)]
pub(crate) fn run<S, In>(
    stage: Arc<Lent<S>>,
    guard: Guard,
    unit: Option<Arc<Unit>>,
    mut tells: bool,
    parcel: Parcel<In>,
) -> impl Future<Output = DoneOf<S, In>> + Send
where
    S: Stage<In>,
    In: Send + 'static,
{
    async move {
        let result = {
            // The block, so that a panic before the first await is caught too.
            let mut run = pin!(async {
                let mut parcel = parcel;
                let input = parcel.take().expect("a parcel is filled before it is handed on");
                let ran = stage.stage.run(guard.context(), input).await;
                let out = ran.map_err(|error| Box::new(Failure::Error(error.into())))?;
                let mut parcel = reuse(parcel);
                *parcel = Some(out);
                Ok(parcel)
            });
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
                Ok(Poll::Ready(ran)) => Poll::Ready(ran),
                Ok(Poll::Pending) => {
                    if std::mem::take(&mut tells) {
                        *lock(&stage.pending) = Some(guard.cell().clone());
                    }
                    Poll::Pending
                }
                Err(panic) => Poll::Ready(Err(Box::new(Failure::Panic(panic)))),
            })
            .await
        };
        Done { stage, guard, unit, result }
    }
}

/// A slot that a future can be polled in where it is, and moved with once it is pending.
pub(crate) type Spot<F> = Pin<Box<Option<F>>>;

/// Where a pending run is polled.
pub(crate) enum Work<F, D> {
    Here(Spot<F>),
    /// The token goes last: what tracks the tasks hears of the end when nothing of the run is left, its output neither.
    Task(AbortOnDropHandle<(D, TaskTrackerToken)>),
}

/// A pending run with what is needed to end it from outside.
pub(crate) struct Running<F, D> {
    work: Option<Work<F, D>>,
    pub(crate) cell: Arc<Cell>,
    span: Span,
    pub(crate) started: u64,
    /// The nearer of the request's deadline and the stage's time limit, in ticks.
    pub(crate) bound: u64,
    pub(crate) number: u64,
    /// Whether the segment counts it, because it has no unit.
    pub(crate) local: bool,
}

/// How a pending run ended.
pub(crate) struct Ended<D> {
    pub(crate) number: u64,
    pub(crate) local: bool,
    pub(crate) cell: Arc<Cell>,
    pub(crate) started: u64,
    /// `None` where the request had been settled before.
    pub(crate) done: Option<D>,
}

/// What is known of a run before it is polled.
pub(crate) struct Start {
    pub(crate) cell: Arc<Cell>,
    pub(crate) span: Span,
    pub(crate) started: u64,
    pub(crate) bound: u64,
    pub(crate) number: u64,
    pub(crate) local: bool,
}

impl<F, D> Running<F, D> {
    pub(crate) fn new(work: Work<F, D>, start: Start) -> Self {
        let Start { cell, span, started, bound, number, local } = start;
        Self { work: Some(work), cell, span, started, bound, number, local }
    }

    /// Drops the work, and tells that nothing comes of it.
    fn give_up(&mut self) -> Ended<D> {
        discard(self.work.take());
        self.ended(None)
    }

    fn ended(&mut self, done: Option<D>) -> Ended<D> {
        Ended { number: self.number, local: self.local, cell: self.cell.clone(), started: self.started, done }
    }
}

impl<F, D> Future for Running<F, D>
where
    F: Future<Output = D>,
{
    type Output = Ended<D>;

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
            Some(Work::Task(task)) => Pin::new(task).poll(cx).map(|ended| ended.ok().map(|(done, _token)| done)),
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
impl<F, D> Unpin for Running<F, D> {}
