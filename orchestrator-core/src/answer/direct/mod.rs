//! Direct delivery: the caller pulls the worker's stream.

mod debt;
#[cfg(all(test, core_loom))]
mod loom;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::Stream;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::context::Context;
use crate::error::{Error, WorkerError};
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::clock::later;
use crate::runtime::permit::discard;
use crate::runtime::watch::{Watch, Watched, Watching};
use crate::token::{TokenEvent, TokenStream};
use debt::Debt;

/// A stream that is polled by its reader, and dropped from outside when the reader fails to.
struct Direct {
    cell: Arc<Cell>,
    stall: Duration,
    debt: Debt,
    /// With the token that a drain waits for: a reader on another thread may just poll what was cancelled.
    stream: Mutex<Option<(TokenStream, TaskTrackerToken)>>,
}

/// Wraps the stream; returns the reader's end.
pub(crate) fn start(cx: &Context, stream: TokenStream, stall: Duration) -> DirectReader {
    let cell = cx.cell().clone();
    let now = cx.clock().now();
    let direct = Arc::new(Direct {
        cell: cell.clone(),
        stall,
        debt: Debt::since(now),
        stream: Mutex::new(Some((stream, cell.shared.tracker.token()))),
    });
    let watching = Some(Watch::add(&direct, now));
    let waker = Waker::from(direct.clone());
    DirectReader { direct, waker, watching, metered: 0, waits: false, over: false }
}

impl Watched for Direct {
    fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    fn stalled_at(&self, now: u64) -> u64 {
        later(self.debt.look(now), self.stall)
    }

    /// An eighth of the limit: that is how much later than exactly a reader may be cut that has read on for a few
    /// events without a reading of the clock.
    fn patience(&self) -> Duration {
        self.stall / 8
    }

    fn cut(&self) {
        let stream = match self.stream.try_lock() {
            Ok(mut stream) => stream.take(),
            Err(TryLockError::Poisoned(stream)) => stream.into_inner().take(),
            // The reader polls it right now; it looks whether the request is over afterwards.
            Err(TryLockError::WouldBlock) => None,
        };
        discard(stream);
        self.cell.runner.wake();
    }
}

impl Direct {
    /// Has the reader woken when the stream is, or when the request ends.
    fn wait<T>(&self, cx: &TaskContext<'_>) -> Poll<T> {
        // The reader runs the request now: whoever ends that wakes it, also where it has left its answer.
        self.cell.runner.register(cx.waker());
        // Whoever woke the stream, or ended the request, before that has found nobody to wake.
        if self.cell.is_settled() || !self.debt.is_none() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The waker that the stream is polled with: from its call on, the reader owes a poll.
impl Wake for Direct {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.debt.arise(|| self.cell.shared.clock.now());
        self.cell.runner.wake();
    }
}

/// The caller's end of a direct stream.
pub(crate) struct DirectReader {
    direct: Arc<Direct>,
    waker: Waker,
    watching: Option<Watching>,
    /// When the stream's meter read the clock last, in ticks.
    metered: u64,
    /// The stream was pending when it was polled last.
    waits: bool,
    over: bool,
}

impl DirectReader {
    pub(crate) fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<TokenEvent, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let direct = &*self.direct;
        // A stream whose waker nobody has called since is pending still: a server's connection asks several times for each
        // event.
        if self.waits && direct.debt.is_none() && !direct.cell.is_settled() {
            return direct.wait(cx);
        }
        direct.debt.settle();
        let mut polled = Poll::Ready(None);
        let caught = match &mut *lock(&direct.stream) {
            Some((stream, _)) if !direct.cell.is_settled() => {
                let mut cx = TaskContext::from_waker(&self.waker);
                // What a caught call returns is moved twice.
                catch_unwind(AssertUnwindSafe(|| polled = Pin::new(stream).poll_next(&mut cx)))
            }
            _ => Ok(()),
        };
        if let Err(panic) = caught {
            let error = direct.cell.panicked(direct.cell.source_name(), &*panic);
            return self.end(Ending::Failed(error));
        }
        self.waits = polled.is_pending();
        match polled {
            Poll::Pending => direct.wait(cx),
            Poll::Ready(Some(Ok(event))) => {
                if let TokenEvent::Finish(finish) = &event {
                    direct.cell.finish(finish);
                    // Settles and lets go of the stream; the event itself still goes to the caller.
                    let ended = self.end(Ending::Answered);
                    return if matches!(ended, Poll::Ready(Some(Err(_)))) {
                        ended
                    } else {
                        Poll::Ready(Some(Ok(event)))
                    };
                }
                if direct.cell.is_settled() {
                    // Ended from outside while the stream was polled, and so not dropped there.
                    return self.end(Ending::Cancelled);
                }
                self.owe();
                Poll::Ready(Some(Ok(event)))
            }
            Poll::Ready(Some(Err(error))) => {
                let stage = direct.cell.source_name();
                self.end(Ending::Failed(Error::worker(stage, error)))
            }
            Poll::Ready(None) => {
                let stage = direct.cell.source_name();
                self.end(Ending::Failed(Error::worker(stage, WorkerError::stream_cut())))
            }
        }
    }

    /// From now on the reader owes a poll; by the reading of the clock that the stream's meter took, where it did.
    fn owe(&mut self) {
        let direct = &*self.direct;
        let metered = direct.cell.extra_if_any().map_or(0, |extra| extra.last_event.load(Ordering::Relaxed));
        if metered == 0 {
            direct.debt.renew(direct.cell.shared.clock.now());
        } else {
            direct.debt.renew(metered);
            if metered == self.metered {
                direct.debt.read_on();
            }
            self.metered = metered;
        }
    }

    /// Lets go of the stream and settles the request, unless somebody else has; tells how it ended.
    fn end(&mut self, ending: Ending) -> Poll<Option<Result<TokenEvent, Error>>> {
        self.over = true;
        self.let_go();
        self.direct.cell.end(ending);
        Poll::Ready(self.direct.cell.error().map(Err))
    }

    fn let_go(&mut self) {
        let stream = lock(&self.direct.stream).take();
        discard(stream);
        self.watching = None;
    }
}

impl Drop for DirectReader {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let cell = self.direct.cell.clone();
        if let Some(watching) = self.watching.take_if(|_| cell.is_detached() && !cell.is_settled()) {
            let rest = Self {
                direct: self.direct.clone(),
                waker: self.waker.clone(),
                watching: Some(watching),
                metered: self.metered,
                waits: false,
                over: false,
            };
            cell.shared.spawn(drive(Driven(rest)));
            return;
        }
        self.let_go();
        cell.end(Ending::Cancelled);
    }
}

/// A stream that has lost its reader. Dropped before its end, because its runtime stops, it is cancelled.
struct Driven(DirectReader);

impl Drop for Driven {
    fn drop(&mut self) {
        if !self.0.over {
            drop(self.0.end(Ending::Cancelled));
        }
    }
}

/// Pulls a stream that has lost its reader to its end.
async fn drive(mut rest: Driven) {
    while std::future::poll_fn(|cx| rest.0.poll_event(cx)).await.is_some_and(|event| event.is_ok()) {
        tokio::task::coop::consume_budget().await;
    }
}
