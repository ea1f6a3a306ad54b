use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio_util::sync::CancellationToken;

use crate::admission::Bookings;
use crate::error::{Error, ErrorKind, RefuseReason, ShedReason};
use crate::request::RequestOptions;
use crate::runtime::extra::Extra;
use crate::runtime::permit::discard;
use crate::runtime::shared::Shared;
use crate::runtime::times::Times;

/// The place of a request that is in no queue yet.
const NOWHERE: u64 = u64::MAX;

/// How many stages' times lie in the cell itself.
const INLINE_STAGES: usize = 6;

/// How a request ends; exactly one of these is counted for each.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The output, or the terminal event, was handed over.
    Answered,
    /// A stage, the worker or a time limit ended it.
    Failed(Error),
    /// Dropped from the queue of a segment.
    Shed(usize, ShedReason),
    /// Cancelled; the caller is told where it can still hear it.
    Cancelled,
    /// Cancelled because its reader stalled.
    Stalled,
    /// Not let in.
    Refused(RefuseReason),
    /// The caller left before it was let in.
    Withdrawn,
}

/// What a request and all who deal with it share.
///
/// The payload is not in here, it travels through the queues. Whoever settles the request first wins; everybody else
/// finds it settled and lets go of what they hold.
///
/// What every hop touches stands first and together: the hops of a request run on different cores, and each line of the
/// cache that they share travels with it. Hence the layout in the order of the fields.
#[repr(C)]
pub(crate) struct Cell {
    settled: AtomicBool,
    delivered: AtomicBool,
    pub(super) holds: AtomicBool,
    streaming: AtomicBool,
    detached: AtomicBool,
    admitted: AtomicBool,
    /// The lane in every queue.
    pub(crate) lane: u8,
    /// The stage that runs it, or ran it last.
    pub(crate) stage: AtomicU32,
    /// In ticks.
    pub(crate) deadline: u64,
    pub(crate) submitted: u64,
    /// The queue it was pushed into last, and the key there.
    pub(crate) place: AtomicU64,
    /// When it was pushed, in ticks.
    pub(crate) since: AtomicU64,
    inline_times: [Times; INLINE_STAGES],
    more_times: Box<[Times]>,
    pub(crate) shared: Arc<Shared>,
    pub(super) extra: OnceLock<Box<Extra>>,
    state: Mutex<State>,
    /// Whoever polls it while it is pending: the future of a stage, or the pump of a stream.
    pub(crate) runner: AtomicWaker,
    pub(crate) id: u64,
    /// What it has booked at the slots of its pipeline's stages.
    pub(crate) bookings: Bookings,
    pub(crate) options: RequestOptions,
}

#[derive(Default)]
struct State {
    output: Option<Box<dyn Any + Send>>,
    /// The caller has left: an output that comes later is for nobody.
    abandoned: bool,
    error: Option<Error>,
    caller: Option<Waker>,
}

/// What [`Cell::poll_output`] finds.
pub(crate) enum Outcome {
    Pending,
    Output(Box<dyn Any + Send>),
    Failed(Error),
    /// It was taken before.
    Gone,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cell {
    pub(crate) fn new(
        id: u64,
        options: RequestOptions,
        bookings: Bookings,
        deadline: u64,
        submitted: u64,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let more = shared.stages.len().saturating_sub(INLINE_STAGES);
        let more_times = if more == 0 { Box::default() } else { (0..more).map(|_| Times::default()).collect() };
        Arc::new(Self {
            settled: AtomicBool::new(false),
            delivered: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            streaming: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            admitted: AtomicBool::new(false),
            lane: options.priority.lane() as u8,
            stage: AtomicU32::new(0),
            deadline,
            submitted,
            place: AtomicU64::new(NOWHERE),
            since: AtomicU64::new(submitted),
            inline_times: Default::default(),
            more_times,
            shared,
            extra: OnceLock::new(),
            state: Mutex::default(),
            runner: AtomicWaker::new(),
            id,
            bookings,
            options,
        })
    }

    /// The times of a stage.
    pub(crate) fn times(&self, stage: usize) -> &Times {
        match stage.checked_sub(INLINE_STAGES) {
            None => &self.inline_times[stage],
            Some(further) => &self.more_times[further],
        }
    }

    /// Whether the request is over; whoever still has something of it lets go.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether the request is over, seen through the lock under which it is settled: whoever settles it later finds what
    /// was left for it before.
    pub(super) fn is_over(&self) -> bool {
        let _state = lock(&self.state);
        self.is_settled()
    }

    /// Whether the pipeline has handed its output over, settled or still streaming.
    pub(crate) fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }

    /// From now on the end of a stream settles the request, not the delivery of the output.
    pub(crate) fn start_streaming(&self) {
        self.streaming.store(true, Ordering::Release);
    }

    /// Whether a stream settles the request.
    pub(crate) fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Acquire)
    }

    /// The segment that it was pushed to last.
    pub(crate) fn segment(&self) -> Option<usize> {
        let place = self.place.load(Ordering::Acquire);
        (place != NOWHERE).then_some((place >> 32) as usize)
    }

    /// Settles the request unless it is settled; tells whether it did.
    ///
    /// Only marks and tells: whoever is not itself holding the request calls [`Cell::take_out`] afterwards.
    #[expect(clippy::needless_pass_by_value, reason = "an ending happens once, whoever brings it gives it away")]
    pub(crate) fn end(&self, ending: Ending) -> bool {
        // The error of an ending that comes too late need not be made.
        if self.is_settled() {
            return false;
        }
        let error = self.error_of(&ending);
        let caller = {
            let mut state = lock(&self.state);
            if self.settled.load(Ordering::Relaxed) {
                return false;
            }
            self.settled.store(true, Ordering::Release);
            state.error = error;
            state.caller.take()
        };
        self.shared.count(self, &ending);
        self.close(&ending);
        if let Some(caller) = caller {
            caller.wake();
        }
        true
    }

    /// Hands the output to the caller; settles the request unless a stream does that later. Tells whether it did.
    ///
    /// Only the pipeline's last task does this. It tells a drain of its batch afterwards.
    pub(crate) fn deliver(&self, output: Box<dyn Any + Send>) -> bool {
        let settles = !self.is_streaming();
        let (output, caller) = {
            let mut state = lock(&self.state);
            if self.settled.load(Ordering::Relaxed) && (settles || state.abandoned) {
                // Dropped behind the lock. Kept, a stream that nobody takes would keep this cell, and itself, for ever.
                (Some(output), None)
            } else {
                self.delivered.store(true, Ordering::Release);
                if settles {
                    self.settled.store(true, Ordering::Release);
                }
                let unread = if self.is_detached() {
                    Some(output)
                } else {
                    state.output = Some(output);
                    None
                };
                (unread, state.caller.take())
            }
        };
        let answered = settles && self.is_delivered();
        if answered {
            self.shared.counters.delivered();
            self.close(&Ending::Answered);
        }
        if output.is_some() {
            discard(output);
        }
        if let Some(caller) = caller {
            caller.wake();
        }
        answered
    }

    /// Tells whoever watches the token or runs the request, and closes the span.
    #[inline]
    fn close(&self, ending: &Ending) {
        if !matches!(ending, Ending::Answered) {
            self.runner.wake();
            self.unbook();
        }
        if let Some(extra) = self.extra_if_any() {
            self.drop_presence();
            extra.close(ending);
        }
    }

    fn error_of(&self, ending: &Ending) -> Option<Error> {
        match ending {
            Ending::Answered | Ending::Withdrawn => None,
            Ending::Failed(error) => Some(error.clone()),
            Ending::Shed(segment, reason) => Some(self.shared.segments[*segment].shed(*reason)),
            Ending::Cancelled => Some(Error::plain(ErrorKind::Cancelled, None)),
            Ending::Stalled => Some(Error::plain(ErrorKind::ReaderStalled, None)),
            Ending::Refused(reason) => Some(Error::refused(*reason)),
        }
    }

    /// Takes what is settled out of the queue or the stage where it lies.
    pub(crate) fn take_out(&self) {
        loop {
            let place = self.place.load(Ordering::Acquire);
            if place == NOWHERE {
                return;
            }
            let (segment, key) = ((place >> 32) as usize, place as u32);
            let Some(here) = self.shared.segments.get(segment) else { return };
            if here.queue.remove(key, self) {
                return;
            }
            // It is inside the segment, or on its way into the next queue. Once we have been through that queue's lock
            // it is either there, and its place says so, or its push will find it settled.
            if let Some(next) = self.shared.segments.get(segment + 1) {
                next.queue.sync();
            }
            if self.place.load(Ordering::Acquire) == place {
                here.gate.poke();
                return;
            }
        }
    }

    /// Cancels the request wherever it is; tells whether it had not ended before.
    pub(crate) fn cancel(&self) -> bool {
        if self.is_settled() {
            return false;
        }
        if !self.is_admitted() {
            // First out of the door's queue, then called withdrawn: while it waits there, it may be let in, and counted
            // as that, at any moment. What is dropped there ends by what it is then.
            self.take_out();
        }
        let cancelled = self.end(self.given_up());
        if cancelled {
            self.take_out();
        }
        cancelled
    }

    /// Whether it was let in. That changes only while it lies in the door's queue.
    pub(crate) fn mark_admitted(&self) {
        self.admitted.store(true, Ordering::Release);
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
    }

    /// How it ends when nobody goes on with it.
    pub(crate) fn given_up(&self) -> Ending {
        if self.is_admitted() { Ending::Cancelled } else { Ending::Withdrawn }
    }

    /// Takes the outcome, or keeps the caller's waker.
    pub(crate) fn poll_output(&self, waker: &Waker) -> Outcome {
        let mut state = lock(&self.state);
        if let Some(output) = state.output.take() {
            return Outcome::Output(output);
        }
        if let Some(error) = &state.error {
            return Outcome::Failed(error.clone());
        }
        if self.is_delivered() || self.is_settled() {
            return Outcome::Gone;
        }
        match &mut state.caller {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Outcome::Pending
    }

    /// Takes an output that nobody will read, also one that comes later.
    pub(crate) fn take_unread(&self) -> Option<Box<dyn Any + Send>> {
        let mut state = lock(&self.state);
        state.abandoned = true;
        state.output.take()
    }

    /// Lets the request go on without a reader.
    pub(crate) fn detach(&self) {
        let unread = {
            let mut state = lock(&self.state);
            self.detached.store(true, Ordering::Release);
            state.output.take()
        };
        self.runner.wake();
        drop(unread);
    }

    /// Whether nobody reads the answer, and it goes on all the same.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Acquire)
    }

    /// The name of the stage that runs it.
    pub(crate) fn stage_name(&self) -> Arc<str> {
        let stage = self.shared.stages.get(self.stage.load(Ordering::Acquire) as usize);
        stage.map_or_else(|| self.shared.name.clone(), |s| s.name.clone())
    }

    /// The error that the request ended with.
    pub(crate) fn error(&self) -> Option<Error> {
        lock(&self.state).error.clone()
    }

    /// The token that is cancelled when the request ends without an answer.
    pub(crate) fn token(&self) -> &CancellationToken {
        let token = self.extra().token.get_or_init(CancellationToken::new);
        // Through the lock: `end` either sees the token, or we see that it is over.
        if lock(&self.state).error.is_some() {
            token.cancel();
        }
        token
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("id", &self.id).field("settled", &self.is_settled()).finish_non_exhaustive()
    }
}
