use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::error::{RefuseReason, ShedReason};
use crate::queue::{Effects, Entry, LANES, NEVER, Popped, Queue, Take, Turns};
use crate::runtime::cell::{Cell, Ending};
use crate::runtime::clock::later;
use crate::runtime::job::{Job, Waiter};
use crate::runtime::node::{BoxNode, Flight, Round};
use crate::runtime::permit::{Gate, Unit};
use crate::runtime::shared::{Shared, release};
use crate::runtime::sink::shed;
use crate::runtime::supply::SlotSupply;
use crate::runtime::timer::Timer;
use crate::stage::Plan;
use crate::stats::Tally;
use crate::worker::Slot;

/// The most requests that leave the queue at once.
const BATCH: usize = 64;
/// The time of first polls after which a batch is put aside, so that a higher class need not wait for the rest of it.
const BATCH_TIME: Duration = Duration::from_micros(50);
/// First polls that take less, in nanoseconds, need not be timed one by one: that would cost as much again.
const QUICK: u64 = 1_000;
/// How many may follow one that was timed.
const UNTIMED: u32 = 31;
/// How many are timed one by one after some that were not quick after all.
const EXACT: u32 = 64;
/// A next batch that is smaller than this has time: the task goes behind the others that are ready on its thread, which
/// fill it up, or hand on what has just been pushed to them. Where everything is handed on in small batches, most of the
/// time goes into waking tasks.
const WORTHWHILE: usize = BATCH / 4;
/// Batches after which the task lets others run, beside Tokio's own budget.
const BATCHES_PER_POLL: usize = 4;

/// The task behind one queue.
///
/// It pops a batch, lets each request run through the nodes as far as it gets, and hands on what came out. It keeps the
/// concurrency limit, takes the server's slots before requests leave the queue, and ends what has run out of time.
pub(crate) struct Segment<T> {
    number: usize,
    shared: Arc<Shared>,
    queue: Arc<Queue<Job<T>, Waiter>>,
    node: BoxNode<T>,
    gate: Arc<Gate>,
    concurrency: usize,
    /// After so many ticks for each step below the highest class a request goes before others.
    aging: u64,
    /// See [`WORTHWHILE`]; a queue that is full is always worth going on with.
    worthwhile: usize,
    slots: Option<SlotSupply>,
    /// Popped and not started.
    batch: VecDeque<Job<T>>,
    effects: Effects<Job<T>, Waiter>,
    /// No deadline in the queue is earlier.
    queue_bound: u64,
    timer: Timer,
    wait_times: Tally,
    first_stage: usize,
    /// There was no room when it looked for requests last: it waits for a permit, not for the queue.
    starved: bool,
    /// A panic came between what its nodes gathered and the handing on of it.
    unflushed: bool,
    /// How many more first polls need not be timed.
    untimed: u32,
    /// There were some since the clock was read.
    unread: bool,
    /// How many first polls are timed in any case.
    exact: u32,
}

/// How a look for work went.
enum Work {
    /// Something moved: look again.
    Some,
    /// Something moved, and a little is queued: look again when others have had their turn.
    Later,
    /// Nothing to do until somebody wakes the task.
    None,
    /// The queue is closed, and nothing is left in it.
    Finished,
}

impl<T: Send + 'static> Segment<T> {
    pub(crate) fn new(
        number: usize,
        shared: Arc<Shared>,
        queue: Arc<Queue<Job<T>, Waiter>>,
        node: BoxNode<T>,
        plan: &Plan,
    ) -> Self {
        let first_stage = shared.segments[number].first_stage;
        Self {
            number,
            gate: shared.segments[number].gate.clone(),
            shared,
            queue,
            node,
            concurrency: plan.concurrency.get(),
            aging: later(0, plan.aging),
            worthwhile: plan.depth.get().min(WORTHWHILE),
            slots: plan.slots.clone().map(SlotSupply::new),
            batch: VecDeque::new(),
            effects: Effects::new(),
            queue_bound: NEVER,
            timer: Timer::default(),
            wait_times: Tally::alone(),
            first_stage,
            starved: false,
            unflushed: false,
            untimed: 0,
            unread: false,
            exact: 0,
        }
    }

    /// How many more may be started now.
    fn room(&self) -> usize {
        self.concurrency.saturating_sub(self.node.inside() + self.gate.outside())
    }

    /// Has the gate wake the task, where it can have news; returns whether it has them already.
    fn listen(&self, cx: &mut Context<'_>) -> bool {
        let full = self.starved;
        if !full && self.batch.is_empty() && self.node.is_empty() {
            return false;
        }
        self.gate.register(cx.waker());
        // Looked at once more behind the registration, so that nothing is missed in between.
        self.gate.is_poked() || full && self.room() > 0
    }

    /// Looks after what others ask of the segment.
    fn attend(&mut self) {
        if self.shared.is_killed() {
            self.cancel_all();
        }
        if self.gate.take_poke() {
            self.batch.retain(|job| !job.is_dead());
            self.node.sweep();
        }
    }

    /// Polls what is pending, starts the batch, hands on what came of it and pops the next one.
    fn work(&mut self, round: &mut Round<'_, '_>) -> Work {
        self.attend();
        let mut moved = !self.node.is_empty() && self.node.poll(round);
        moved |= self.expire(round.now);
        moved |= self.start_batch(round);
        if std::mem::take(&mut self.unflushed) || moved {
            self.node.flush(round.now);
            self.wait_times.flush(&self.shared.stages[self.first_stage].wait);
        }
        let popped = self.fill_batch(self.worthwhile, round);
        if popped.count > 0 || !self.batch.is_empty() && moved {
            return Work::Some;
        }
        if popped.too_little {
            return Work::Later;
        }
        match self.node.is_empty() {
            true if popped.finished && self.batch.is_empty() => Work::Finished,
            true => Work::None,
            // What became pending has to be polled once more where it is now, so that it knows whom to wake.
            false if moved => Work::Some,
            false => Work::None,
        }
    }

    /// Pops a new batch of at least `least`, or what is of a higher class than what is left of the last one.
    ///
    /// That starts in place of what is left, whose room and slots it takes.
    fn fill_batch(&mut self, least: usize, round: &mut Round<'_, '_>) -> Popped {
        let room = self.room();
        self.starved = room == 0;
        let left = self.batch.len();
        let mut take = match self.batch.front() {
            None => Take { limit: room.min(BATCH), least: least.min(room), lanes: LANES, now: round.now },
            // What has come out for being overdue is not passed again.
            Some(first) => {
                let lanes = if self.is_overdue(first, round.now) { 0 } else { first.lane() };
                Take { limit: left, least: 1, lanes, now: round.now }
            }
        };
        if let Some(slots) = &mut self.slots {
            let wanted = if left > 0 { left } else { self.queue.ready(LANES).min(take.limit) };
            let granted = slots.supply(wanted, round.task);
            take.limit = take.limit.min(granted);
            if left == 0 {
                // What comes only now has no slot yet: it is too little to be taken, and must not be slept on.
                let unforeseen = wanted == 0 && room > 0;
                take = Take { least: if unforeseen { usize::MAX } else { 1 }, ..take };
            }
        }
        // Hungry unless it could not start what it would pop: then whoever releases a permit wakes it.
        let waker = Some((round.task.waker(), room > 0));
        let popped = {
            let desk = self.shared.segments[self.number].desk.as_ref();
            // Locked before the queue, and only where something may come out.
            let mut line = desk.filter(|_| take.limit > 0).map(|desk| desk.line(round.clock, round.now));
            let turns = line.as_mut().map(|line| line as &mut dyn Turns<_>);
            self.queue.pop(take, &mut self.batch, waker, &mut self.effects, turns)
        };
        shed(&mut self.effects, self.number, round.now);
        if left > 0 {
            // What is left of the batch is of a lower class than what has just been popped.
            self.batch.rotate_left(left);
        }
        if let Some(slots) = &mut self.slots {
            // What was queued a moment ago may have been cancelled; its slot must not lie here until the next one comes.
            slots.ready.truncate(self.batch.len());
        }
        self.queue_bound = popped.bound;
        release(&mut self.effects);
        popped
    }

    /// Starts the batch as far as there is room, for as long as one batch may take.
    fn start_batch(&mut self, round: &mut Round<'_, '_>) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let until = later(round.now, BATCH_TIME);
        let mut started = false;
        for _ in 0..self.room() {
            if started && round.now > until {
                break;
            }
            self.time_next(round);
            let before = round.now;
            let slot = match &mut self.slots {
                None => None,
                Some(slots) => match slots.ready.pop() {
                    None => break,
                    slot => slot,
                },
            };
            let Some(job) = self.batch.pop_front() else { break };
            started = true;
            self.start(job, slot, round);
            if round.timed && self.exact == 0 && round.now.saturating_sub(before) < QUICK {
                self.untimed = UNTIMED;
            }
        }
        round.timed = true;
        started
    }

    /// Decides whether the next first poll is timed: while they are quick, one is and stands for those that follow.
    ///
    /// Where those turn out to have been slower, the next ones are timed one by one.
    fn time_next(&mut self, round: &mut Round<'_, '_>) {
        round.timed = self.untimed == 0;
        self.exact = self.exact.saturating_sub(1);
        if !round.timed {
            self.untimed -= 1;
            self.unread = true;
        } else if std::mem::take(&mut self.unread) {
            let before = round.now;
            if round.tick().saturating_sub(before) > QUICK * u64::from(UNTIMED) {
                self.exact = EXACT;
            }
        }
    }

    fn start(&mut self, job: Job<T>, slot: Option<Slot>, round: &mut Round<'_, '_>) {
        let Job { guard, parcel } = job;
        let cell = guard.cell();
        if cell.is_settled() {
            return;
        }
        if self.is_too_late(cell, round.now) {
            cell.end(Ending::Shed(self.number, ShedReason::Deadline));
            return;
        }
        let wait = round.now.saturating_sub(cell.since.load(Ordering::Relaxed));
        let stage = self.first_stage;
        cell.times(stage).waited(wait);
        self.wait_times.record(wait, &self.shared.stages[stage].wait);
        let unit = slot.map(|mut slot| {
            if let Some(desk) = &self.shared.segments[self.number].desk {
                desk.serve(cell, &mut slot);
            }
            Unit::counted(&self.gate, Some(slot))
        });
        self.node.start(Flight { guard, parcel, unit }, round);
    }

    /// Whether it has waited for so long that its class does not matter any more.
    fn is_overdue(&self, job: &Job<T>, now: u64) -> bool {
        let due = job.since().saturating_add(self.aging.saturating_mul(job.lane() as u64));
        job.lane() > 0 && due <= now
    }

    /// Whether the deadline has passed, or will before even a quick answer could be there.
    fn is_too_late(&self, cell: &Cell, now: u64) -> bool {
        if cell.deadline == NEVER {
            return false;
        }
        let desk = self.shared.segments[self.number].desk.as_ref();
        let service = desk.map_or(0, |desk| desk.least_service(cell));
        cell.deadline <= now.saturating_add(service)
    }

    /// Ends what has run out of time: in the queue, in the batch, and inside.
    fn expire(&mut self, now: u64) -> bool {
        let in_queue = self.queue_bound <= now;
        if in_queue {
            self.queue.expire(now, &mut self.effects);
            shed(&mut self.effects, self.number, now);
            release(&mut self.effects);
        }
        let batch_bound = self.batch_bound();
        if batch_bound <= now {
            for job in &self.batch {
                if job.deadline() <= now {
                    job.guard.cell().end(Ending::Shed(self.number, ShedReason::Deadline));
                }
            }
            self.batch.retain(|job| !job.is_dead());
        }
        let inside = self.node.bound() <= now;
        if inside {
            self.node.expire(now);
        }
        in_queue || inside
    }

    fn batch_bound(&self) -> u64 {
        self.batch.iter().map(Entry::deadline).min().unwrap_or(NEVER)
    }

    /// Ends everything that is still here as cancelled.
    fn cancel_all(&mut self) {
        self.batch.clear();
        self.queue.take_all(&mut self.effects);
        release(&mut self.effects);
        self.node.cancel_all();
    }
}

impl<T: Send + 'static> Future for Segment<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let clock = this.shared.clock;
        // Read once per poll, and from then on once per timed request: the next look starts where the last one ended.
        let mut round = Round { clock, now: clock.now(), timed: true, task: cx };
        this.fill_batch(1, &mut round);
        for _ in 0..BATCHES_PER_POLL {
            let cooperative = ready!(tokio::task::coop::poll_proceed(round.task));
            // Stages are caught where they run; what is left to panic is the destructor of something of theirs.
            let work = catch_unwind(AssertUnwindSafe(|| this.work(&mut round))).unwrap_or_else(|_| {
                tracing::error!("a destructor panicked in a segment, which goes on");
                this.unflushed = true;
                Work::Some
            });
            match work {
                Work::Some => cooperative.made_progress(),
                Work::Later => {
                    cooperative.made_progress();
                    break;
                }
                Work::Finished => return Poll::Ready(()),
                Work::None => {
                    let bound = this.queue_bound.min(this.node.bound()).min(this.batch_bound());
                    this.timer.set(bound, clock, round.task);
                    if !this.listen(round.task) {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> Drop for Segment<T> {
    /// The task is over, because all is done or because its runtime stopped: whatever is still here is cancelled, and
    /// whoever comes later is told.
    fn drop(&mut self) {
        let mut effects = Effects::new();
        self.queue.close(&mut effects);
        self.queue.take_all(&mut effects);
        for job in effects.dead.iter().filter(|job| !job.guard.cell().is_admitted()) {
            job.guard.cell().end(Ending::Refused(RefuseReason::Draining));
        }
        release(&mut effects);
    }
}
