//! Buffered delivery: a task per request moves events into a bounded buffer, in batches.

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::Duration;

use futures_util::Stream;

use crate::context::Context;
use crate::error::{Error, WorkerError};
use crate::queue::NEVER;
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::clock::later;
use crate::runtime::permit::discard;
use crate::runtime::watch::{Watch, Watched, Watching};
use crate::token::{TokenEvent, TokenStream};

/// The most events that move under one lock.
const BATCH: usize = 32;

type Item = Result<TokenEvent, Error>;

/// What pump and reader share.
struct Buffer {
    cell: Arc<Cell>,
    capacity: usize,
    stall: Duration,
    /// Since when the buffer has been full and untouched, in ticks; [`NEVER`] while it is not.
    full_since: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Item>,
    /// The pump is gone; what is here is all that comes.
    closed: bool,
    reader: Option<Waker>,
}

/// Makes the pump; returns the reader's end with it.
pub(crate) fn start(cx: &Context, stream: TokenStream, events: NonZeroUsize, stall: Duration) -> Reader {
    let buffer = Arc::new(Buffer {
        cell: cx.cell().clone(),
        capacity: events.get(),
        stall,
        full_since: AtomicU64::new(NEVER),
        state: Mutex::default(),
    });
    let watching = Watch::add(&buffer, cx.clock().now());
    let pump =
        Pump { buffer: buffer.clone(), stream: Some(stream), gathered: VecDeque::new(), watching: Some(watching) };
    Reader { buffer, taken: VecDeque::new(), over: false, pump: Some(pump) }
}

impl Watched for Buffer {
    fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    fn stalled_at(&self, _now: u64) -> u64 {
        later(self.full_since.load(Ordering::Acquire), self.stall)
    }

    fn patience(&self) -> Duration {
        self.stall
    }

    /// Ending the request has woken the pump, which drops the stream.
    fn cut(&self) {}
}

/// The task that pulls the worker's stream.
///
/// Spawned when the reader's end is in the caller's reach, not before: it settles the request, and whoever meets a
/// settled request on its way through the pipeline lets go of it.
pub(crate) struct Pump {
    buffer: Arc<Buffer>,
    stream: Option<TokenStream>,
    gathered: VecDeque<Item>,
    watching: Option<Watching>,
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            // Before looking: whoever settles or detaches the request, or makes room, wakes us from now on.
            this.buffer.cell.runner.register(cx.waker());
            if this.buffer.cell.is_settled() {
                return Poll::Ready(());
            }
            let room = this.room();
            if room == 0 {
                return Poll::Pending;
            }
            let cooperative = ready!(tokio::task::coop::poll_proceed(cx));
            let pulled = catch_unwind(AssertUnwindSafe(|| this.pull(room.min(BATCH), cx)));
            let ending = match pulled {
                Ok(ending) => ending,
                Err(panic) => {
                    let cell = &this.buffer.cell;
                    let error = cell.panicked(cell.source_name(), &*panic);
                    Poll::Ready(Some(Ending::Failed(error)))
                }
            };
            if !this.gathered.is_empty() {
                cooperative.made_progress();
            }
            match ending {
                Poll::Ready(Some(ending)) => {
                    // The stream, and the slot with it, goes before anybody hears of the end.
                    this.let_go();
                    let answered = matches!(ending, Ending::Answered);
                    if !this.buffer.cell.end(ending) && answered {
                        // Somebody else has ended it just before: the answer is not whole any more.
                        this.gathered.pop_back();
                    }
                    this.push();
                    return Poll::Ready(());
                }
                Poll::Ready(None) => this.push(),
                Poll::Pending => {
                    this.push();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Pump {
    fn let_go(&mut self) {
        discard(self.stream.take());
        self.watching = None;
    }

    /// How many events may be pulled; marks the buffer as full where there is no room.
    fn room(&self) -> usize {
        if self.buffer.cell.is_detached() {
            return BATCH;
        }
        let state = lock(&self.buffer.state);
        let room = self.buffer.capacity.saturating_sub(state.events.len());
        if room == 0 && self.buffer.full_since.load(Ordering::Acquire) == NEVER {
            let now = self.buffer.cell.shared.clock.now();
            self.buffer.full_since.store(now, Ordering::Release);
        }
        room
    }

    /// Gathers up to `most` events. Ready where it got them all, or the stream has ended.
    fn pull(&mut self, most: usize, cx: &mut TaskContext<'_>) -> Poll<Option<Ending>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Some(Ending::Cancelled)) };
        for _ in 0..most {
            match ready!(Pin::new(&mut *stream).poll_next(cx)) {
                Some(Ok(event)) => {
                    let terminal = event.is_terminal();
                    if let TokenEvent::Finish(finish) = &event {
                        self.buffer.cell.finish(finish);
                    }
                    self.gathered.push_back(Ok(event));
                    if terminal {
                        return Poll::Ready(Some(Ending::Answered));
                    }
                }
                Some(Err(error)) => {
                    let error = Error::worker(self.buffer.cell.source_name(), error);
                    return Poll::Ready(Some(Ending::Failed(error)));
                }
                None => {
                    let error = Error::worker(self.buffer.cell.source_name(), WorkerError::stream_cut());
                    return Poll::Ready(Some(Ending::Failed(error)));
                }
            }
        }
        Poll::Ready(None)
    }

    /// Moves what was gathered to the reader.
    fn push(&mut self) {
        if self.buffer.cell.is_detached() {
            self.gathered.clear();
            return;
        }
        if self.gathered.is_empty() {
            return;
        }
        let reader = {
            let mut state = lock(&self.buffer.state);
            state.events.append(&mut self.gathered);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for Pump {
    /// However the task ends: the request is settled, the stream gone, and the reader told.
    fn drop(&mut self) {
        self.let_go();
        self.buffer.cell.end(Ending::Cancelled);
        let reader = {
            let mut state = lock(&self.buffer.state);
            state.closed = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// The caller's end of the buffer.
pub(crate) struct Reader {
    buffer: Arc<Buffer>,
    /// Taken out under one lock, to be read one by one.
    taken: VecDeque<Item>,
    over: bool,
    /// Until it is spawned.
    pump: Option<Pump>,
}

impl Reader {
    pub(crate) const fn take_pump(&mut self) -> Option<Pump> {
        self.pump.take()
    }

    pub(crate) fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Item>> {
        if let Some(item) = self.taken.pop_front() {
            if self.buffer.full_since.load(Ordering::Acquire) != NEVER {
                // The buffer has filled up behind what was taken ahead, but the reader is not idle.
                self.buffer.full_since.store(self.buffer.cell.shared.clock.now(), Ordering::Release);
            }
            return Poll::Ready(Some(item));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let most = (self.buffer.capacity / 8).clamp(1, BATCH);
        let closed = {
            let mut state = lock(&self.buffer.state);
            let count = state.events.len().min(most);
            self.taken.extend(state.events.drain(..count));
            if count == 0 && !state.closed {
                match &mut state.reader {
                    Some(kept) => kept.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            state.closed
        };
        if self.buffer.full_since.swap(NEVER, Ordering::AcqRel) != NEVER {
            self.buffer.cell.runner.wake();
        }
        if let Some(item) = self.taken.pop_front() {
            return Poll::Ready(Some(item));
        }
        debug_assert!(closed, "an open buffer without events is pending");
        self.over = true;
        Poll::Ready(self.buffer.cell.error().map(Err))
    }
}

impl Drop for Reader {
    /// Dropped before its end, nobody reads on, unless nobody is to.
    fn drop(&mut self) {
        if !self.over && !self.buffer.cell.is_detached() {
            self.buffer.cell.cancel();
        }
    }
}
