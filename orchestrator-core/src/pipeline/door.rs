//! The door: how a request gets in, or does not.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use crate::answer::Answer;
use crate::context::Context;
use crate::error::{Error, ErrorKind, InvalidInput, RefuseReason, ShedReason};
use crate::pipeline::Pipeline;
use crate::pipeline::handle::Inner;
use crate::queue::{Key, NEVER, Pushed};
use crate::request::{Input, RequestOptions};
use crate::runtime::cell::{Cell, Ending};
use crate::runtime::job::{Guard, Job, Waiter};
use crate::runtime::{id, spans};
use crate::stage::ShedPolicy;

impl<In: Input, Out: Send + 'static> Pipeline<In, Out> {
    /// Submits a request with the options that it carries; returns its answer once it is let in.
    ///
    /// At a full door it waits, under [`ShedPolicy::Backpressure`]; under another policy of the first stage's queue it is
    /// refused, or an older request makes room. The default is [`ShedPolicy::Predictive`] where a stage takes slots, and
    /// backpressure elsewhere.
    ///
    /// # Errors
    ///
    /// Refuses an input that is not valid, a deadline that has passed or passes while it waits, what its tenant's limit
    /// leaves no room for, and everything while the pipeline drains; under another policy than backpressure also at a full
    /// door, and where it predicts what would not get a slot in time, or none at all. See
    /// [`RefuseReason`](crate::error::RefuseReason).
    ///
    /// # Panics
    ///
    /// The first submission panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request is withdrawn: it has not been run.
    pub async fn submit(&self, mut input: In) -> Result<Answer<Out>, Error> {
        let options = input.take_options();
        self.submit_with(input, options).await
    }

    /// Submits a request with options from outside; see [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// Like [`submit`](Self::submit).
    pub async fn submit_with(&self, input: In, options: RequestOptions) -> Result<Answer<Out>, Error> {
        let policy = if options.admit_now { self.inner.door.policy.without_waiting() } else { self.inner.door.policy };
        match self.inner.enter(input, options, policy)? {
            Entered::Admitted(cell) => Ok(Answer::new(cell)),
            Entered::Waiting(cell, key) => {
                Admission { inner: &self.inner, cell: cell.clone(), key, done: false }.await?;
                Ok(Answer::new(cell))
            }
        }
    }

    /// Submits a request if there is room now; see [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// Like [`submit`](Self::submit), but at a full door, where that would wait, it refuses with
    /// [`RefuseReason::QueueFull`].
    pub fn try_submit(&self, mut input: In) -> Result<Answer<Out>, Error> {
        let options = input.take_options();
        match self.inner.enter(input, options, self.inner.door.policy.without_waiting())? {
            Entered::Admitted(cell) | Entered::Waiting(cell, _) => Ok(Answer::new(cell)),
        }
    }
}

enum Entered {
    Admitted(Arc<Cell>),
    Waiting(Arc<Cell>, Key),
}

impl<In: Input> Inner<In> {
    fn enter(&self, input: In, options: RequestOptions, policy: ShedPolicy) -> Result<Entered, Error> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let deadline = options.deadline.map_or(NEVER, |d| shared.clock.ticks(d));
        let reserved = self.check(&input, deadline, now).and_then(|()| {
            // Before anything is booked: it panics outside of a runtime.
            self.start();
            self.reserve(&input, &options, deadline, now)
        });
        let bookings = reserved.inspect_err(|error| {
            if let ErrorKind::Refused(reason) = error.kind() {
                shared.counters.barred(reason);
            }
        })?;
        let cell = Cell::new(id::next(), options, bookings, deadline, now, shared.clone());
        let job = Job { guard: Guard::new(Context::new(cell.clone())), parcel: Box::new(Some(input)) };
        if spans::enabled() {
            spans::open(&cell);
        }
        let mut wake = None;
        // The waker comes with the first poll; until then nobody has to be woken.
        let ticket = |_: &Job<In>| Waiter::Caller(std::task::Waker::noop().clone());
        let pushed = self.door.queue.push(job, policy, ticket, &mut wake);
        if let Some(consumer) = wake {
            consumer.wake();
        }
        let refuse = |job: Job<In>, reason| {
            job.guard.cell().end(Ending::Refused(reason));
            Err(Error::refused(reason))
        };
        match pushed {
            Pushed::Admitted => Ok(Entered::Admitted(cell)),
            Pushed::Instead(victim) => {
                victim.guard.cell().end(Ending::Shed(0, ShedReason::Evicted));
                Ok(Entered::Admitted(cell))
            }
            Pushed::Waiting(key) => Ok(Entered::Waiting(cell, key)),
            Pushed::Full(job) => refuse(job, RefuseReason::QueueFull),
            Pushed::Closed(job) | Pushed::Dead(job) => refuse(job, RefuseReason::Draining),
        }
    }

    fn check(&self, input: &In, deadline: u64, now: u64) -> Result<(), Error> {
        if self.shared.draining.load(Ordering::Relaxed) {
            return Err(Error::refused(RefuseReason::Draining));
        }
        input.validate().map_err(Error::invalid)?;
        if deadline <= now {
            let late = InvalidInput::new("deadline", "has passed already");
            return Err(Error::late(late));
        }
        Ok(())
    }
}

/// Waits at the door until the request is let in; dropped before, it withdraws it.
struct Admission<'a, In> {
    inner: &'a Inner<In>,
    cell: Arc<Cell>,
    key: Key,
    done: bool,
}

impl<In: Input> Future for Admission<'_, In> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !this.cell.is_admitted() {
            let waiter = Waiter::Caller(cx.waker().clone());
            let is_it = |job: &Job<In>| Arc::ptr_eq(job.guard.cell(), &this.cell);
            if this.inner.door.queue.replace_ticket(this.key, is_it, waiter) {
                return Poll::Pending;
            }
            if !this.cell.is_admitted() && !this.cell.is_settled() {
                // Out of the queue, and about to be told why: by whoever has just taken it out.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        this.done = true;
        if this.cell.is_admitted() {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(Err(this.cell.error().unwrap_or_else(|| Error::refused(RefuseReason::Draining))))
    }
}

impl<In> Drop for Admission<'_, In> {
    fn drop(&mut self) {
        if !self.done {
            self.cell.cancel();
        }
    }
}
