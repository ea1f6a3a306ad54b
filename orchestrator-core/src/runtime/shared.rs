use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::admission::Desk;
use crate::error::{Error, ShedReason};
use crate::queue::{Depth, Effects, Queue};
use crate::runtime::cell::{Cell, Ending};
use crate::runtime::clock::Clock;
use crate::runtime::job::{Job, Waiter};
use crate::runtime::permit::{Gate, discard};
use crate::runtime::watch::Watch;
use crate::stats::{Counters, Counts, StageCounters};

/// What all requests and tasks of a pipeline share.
///
/// Aligned, so that the reference count in front of it, which every request changes twice, has a line of the cache for
/// itself: the rest is read at every hop.
#[repr(align(128))]
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) segments: Vec<Segment>,
    pub(crate) stages: Vec<StageCounters>,
    pub(crate) counters: Counters,
    pub(crate) watch: Watch,
    pub(crate) tracker: TaskTracker,
    /// The runtime that the pipeline was first submitted to.
    pub(crate) runtime: OnceLock<tokio::runtime::Handle>,
    /// Nothing more is let in.
    pub(crate) draining: AtomicBool,
    /// Whatever is still inside is to be dropped.
    pub(crate) killed: AtomicBool,
    /// Told at every ending while the pipeline drains.
    pub(crate) ended: Notify,
}

/// A queue and the stages behind it, seen from outside.
pub(crate) struct Segment {
    /// The name of its first stage.
    pub(crate) name: Arc<str>,
    /// The number of its first stage.
    pub(crate) first_stage: usize,
    pub(crate) queue: Arc<dyn Link>,
    pub(crate) gate: Arc<Gate>,
    /// Where its requests are booked, where its first stage takes slots.
    pub(crate) desk: Option<Desk>,
    /// What those are told that its queue sheds, by reason: made once, because shedding has to be cheap.
    sheds: [Error; ShedReason::ALL.len()],
}

impl Segment {
    pub(crate) fn new(
        name: Arc<str>,
        first_stage: usize,
        queue: Arc<dyn Link>,
        gate: Arc<Gate>,
        desk: Option<Desk>,
    ) -> Self {
        let sheds = ShedReason::ALL.map(|reason| Error::shed(name.clone(), reason));
        Self { name, first_stage, queue, gate, desk, sheds }
    }

    /// What a request is told that its queue shed.
    pub(crate) fn shed(&self, reason: ShedReason) -> Error {
        self.sheds[reason as usize].clone()
    }
}

/// A queue, whatever it holds.
pub(crate) trait Link: Send + Sync {
    /// Unlinks a request; `false` where it does not lie under that key.
    fn remove(&self, key: u32, cell: &Cell) -> bool;
    /// Passes through the lock.
    fn sync(&self);
    /// How full it is.
    fn depth(&self) -> Depth;
    /// Ends everything that lies in it as cancelled.
    fn cancel_all(&self);
    /// Refuses everything that waits for room, and takes nothing more.
    fn close_door(&self);
}

impl<T: Send> Link for Queue<Job<T>, Waiter> {
    fn remove(&self, key: u32, cell: &Cell) -> bool {
        let mut effects = Effects::new();
        let removed = Queue::remove(self, key, |job| std::ptr::eq(&raw const **job.guard.cell(), cell), &mut effects);
        release(&mut effects);
        removed.is_some()
    }

    fn sync(&self) {
        Queue::sync(self);
    }

    fn depth(&self) -> Depth {
        Queue::depth(self)
    }

    fn cancel_all(&self) {
        let mut effects = Effects::new();
        self.take_all(&mut effects);
        // Dropping a job cancels its request.
        release(&mut effects);
    }

    fn close_door(&self) {
        let mut effects = Effects::new();
        Queue::close(self, &mut effects);
        self.take_waiting(&mut effects);
        for job in &effects.dead {
            job.guard.cell().end(Ending::Refused(crate::error::RefuseReason::Draining));
        }
        release(&mut effects);
    }
}

/// Wakes and releases what an operation left, and drops what is over.
pub(crate) fn release<T>(effects: &mut Effects<Job<T>, Waiter>) {
    if !effects.is_quiet() {
        effects.dead.drain(..).for_each(discard);
        effects.tickets.drain(..).for_each(Waiter::release);
    }
    effects.wake();
}

impl Shared {
    pub(crate) fn new(name: &str, segments: Vec<Segment>, stages: Vec<StageCounters>) -> Self {
        Self {
            name: name.into(),
            clock: Clock::start(),
            segments,
            stages,
            counters: Counters::new(),
            watch: Watch::new(),
            tracker: TaskTracker::new(),
            runtime: OnceLock::new(),
            draining: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// What a context outside of any pipeline belongs to.
    pub(crate) fn standalone() -> Self {
        Self::new("standalone", Vec::new(), Vec::new())
    }

    /// Spawns a task of the pipeline on its runtime, or on the current one where it has none yet.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.runtime.get_or_init(tokio::runtime::Handle::current);
        self.tracker.spawn_on(task, runtime);
    }

    /// Counts an ending, and tells a drain that waits for it.
    pub(crate) fn count(&self, cell: &Cell, ending: &Ending) {
        let counters = &self.counters;
        match ending {
            Ending::Answered => {
                counters.total.record(self.clock.now().saturating_sub(cell.submitted));
                counters.answered();
            }
            Ending::Failed(error) => counters.failed(error.kind()),
            Ending::Shed(segment, reason) => {
                counters.shed();
                self.stages[self.segments[*segment].first_stage].shed(*reason);
            }
            Ending::Cancelled | Ending::Stalled => counters.cancelled(),
            Ending::Refused(reason) => counters.refused(*reason),
            Ending::Withdrawn => counters.withdrawn(),
        }
        self.tell_drain();
    }

    /// Tells a drain that requests have ended; after they were counted.
    pub(crate) fn tell_drain(&self) {
        // Sequentially consistent with the drain's store and its later look at the counters.
        fence(Ordering::SeqCst);
        if self.draining.load(Ordering::SeqCst) {
            self.ended.notify_waiters();
            self.watch.look();
        }
    }

    /// Requests that came to the door, of whom the counters say how many got no further.
    pub(crate) fn submitted(&self, counts: &Counts) -> u64 {
        counts.barred + self.door().pushed_ever
    }

    fn door(&self) -> Depth {
        self.segments.first().map(|door| door.queue.depth()).unwrap_or_default()
    }

    /// Requests let in so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.door().admitted_ever
    }

    /// Requests let in and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        // The endings first: each of them was let in before.
        let ended = self.counters.ended();
        self.accepted().saturating_sub(ended)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
