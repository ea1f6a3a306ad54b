use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::answer::Tokens;
use crate::error::{Error, ErrorKind, RefuseReason, ShedReason};
use crate::queue::{Effects, Queue};
use crate::runtime::cell::Ending;
use crate::runtime::job::{Job, Waiter};
use crate::runtime::node::{Flight, Node, Round};
use crate::runtime::permit::{Gate, Place, Unit, discard};
use crate::runtime::shared::{Shared, release};
use crate::stage::ShedPolicy;
use crate::stats::Tally;

/// The end of a segment: gathers what its batch hands on and pushes it into the next queue at once.
pub(crate) struct QueueSink<T> {
    queue: Arc<Queue<Job<T>, Waiter>>,
    policy: ShedPolicy,
    /// The gate of this segment, whose place an output keeps while it waits for room.
    gate: Arc<Gate>,
    /// The number of the next segment.
    next: usize,
    gathered: Vec<Job<T>>,
    /// Units of what is gathered, by request; most have none.
    units: Vec<(u64, Arc<Unit>)>,
    effects: Effects<Job<T>, Waiter>,
}

impl<T: Send + 'static> QueueSink<T> {
    pub(crate) fn new(queue: Arc<Queue<Job<T>, Waiter>>, policy: ShedPolicy, gate: Arc<Gate>, next: usize) -> Self {
        Self { queue, policy, gate, next, gathered: Vec::new(), units: Vec::new(), effects: Effects::new() }
    }
}

impl<T: Send + 'static> Node<T> for QueueSink<T> {
    fn start(&mut self, flight: Flight<T>, _round: &mut Round<'_, '_>) {
        if let Some(unit) = flight.unit {
            self.units.push((flight.guard.cell().id, unit));
        }
        self.gathered.push(Job { guard: flight.guard, parcel: flight.parcel });
    }

    fn flush(&mut self, now: u64) {
        if self.gathered.is_empty() {
            return;
        }
        for job in &self.gathered {
            job.guard.cell().since.store(now, Ordering::Relaxed);
        }
        let Self { queue, policy, gate, units, .. } = self;
        let ticket = |job: &Job<T>| {
            let id = job.guard.cell().id;
            match units.iter().position(|(owner, _)| *owner == id) {
                Some(unit) => Waiter::Unit { _unit: units.swap_remove(unit).1 },
                None => Waiter::Place { _place: Place::take(gate) },
            }
        };
        queue.push_all(&mut self.gathered, *policy, ticket, &mut self.effects);
        self.units.clear();
        shed(&mut self.effects, self.next, now);
        release(&mut self.effects);
    }

    fn cancel_all(&mut self) {
        self.gathered.clear();
        self.units.clear();
    }
}

impl<T> Drop for QueueSink<T> {
    /// The segment is over: the next one finishes what it has and ends too.
    fn drop(&mut self) {
        let mut effects = Effects::new();
        self.queue.close(&mut effects);
        effects.wake();
    }
}

/// Tells the requests that a queue let go of why.
pub(crate) fn shed<T>(effects: &mut Effects<Job<T>, Waiter>, segment: usize, now: u64) {
    if effects.is_quiet() {
        return;
    }
    let tell = |jobs: &mut Vec<Job<T>>, reason| {
        for job in jobs.drain(..) {
            job.guard.cell().end(Ending::Shed(segment, reason));
            discard(job);
        }
    };
    tell(&mut effects.rejected, ShedReason::QueueFull);
    tell(&mut effects.evicted, ShedReason::Evicted);
    tell(&mut effects.late, ShedReason::CoDel);
    for job in effects.expired.drain(..) {
        let cell = job.guard.cell();
        // What has not come to its deadline has waited for as long as it may.
        let reason = if cell.deadline <= now { ShedReason::Deadline } else { ShedReason::Waited };
        cell.end(Ending::Shed(segment, reason));
        discard(job);
    }
    for job in effects.expired_waiting.drain(..) {
        let cell = job.guard.cell();
        cell.end(match segment.checked_sub(1) {
            None => Ending::Refused(RefuseReason::Deadline),
            // It waits inside the stage before.
            Some(before) => {
                let stage = cell.shared.segments[before].name.clone();
                Ending::Failed(Error::plain(ErrorKind::Deadline, Some(stage)))
            }
        });
        discard(job);
    }
}

/// The end of the pipeline: hands the output to the caller.
pub(crate) struct AnswerSink {
    shared: Arc<Shared>,
    totals: Tally,
}

impl AnswerSink {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, totals: Tally::default() }
    }
}

impl<Out: Send + 'static> Node<Out> for AnswerSink {
    fn start(&mut self, flight: Flight<Out>, round: &mut Round<'_, '_>) {
        let Flight { guard, mut parcel, unit } = flight;
        // Whoever sees the output sees the place free.
        drop(unit);
        let cell = guard.cell();
        let output: &mut dyn Any = &mut *parcel;
        let tokens = output.downcast_mut::<Option<Tokens>>().and_then(Option::as_mut);
        let pump = tokens.and_then(Tokens::take_pump);
        if cell.deliver(parcel) {
            self.totals.record(round.now.saturating_sub(cell.submitted), &self.shared.counters.total);
        }
        if let Some(pump) = pump {
            self.shared.spawn(pump);
        }
    }

    fn flush(&mut self, _now: u64) {
        self.shared.tell_drain();
        self.totals.flush(&self.shared.counters.total);
    }
}
