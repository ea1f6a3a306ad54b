use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

use crate::error::{Error, ErrorKind};
use crate::queue::NEVER;
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::clock::later;
use crate::runtime::job::{Guard, Parcel};
use crate::runtime::node::{BoxNode, Flight, Node, Round};
use crate::runtime::order::Order;
use crate::runtime::permit::{Gate, Unit};
use crate::runtime::running::{Done, DoneOf, Ended, Failure, Lent, Running, Spot, Start, Work, run};
use crate::runtime::shared::Shared;
use crate::runtime::spans;
use crate::runtime::times::Units;
use crate::stage::{Placement, Plan, Stage};
use crate::stats::Tally;

/// What a stage's node is made from, beside the stage itself.
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    /// The number of the stage.
    pub(crate) stage: usize,
    pub(crate) gate: Arc<Gate>,
    pub(crate) plan: Plan,
}

/// One stage in its segment.
///
/// Polls each run once where it is, in a spot that is used again and again. Only a run that is pending moves on, spot
/// and all: into the unordered set here. A spawned stage's runs go into tasks of their own before their first poll,
/// and the set waits for those tasks.
struct StageNode<S: Stage<In>, In: Send + 'static, M, F> {
    site: Site,
    name: Arc<str>,
    /// The stage, lent to the run that is polled now.
    spare: Option<Arc<Lent<S>>>,
    stage: Arc<Lent<S>>,
    make: M,
    spot: Spot<F>,
    running: FuturesUnordered<Running<F, DoneOf<S, In>>>,
    order: Option<Order<S::Out>>,
    next: BoxNode<S::Out>,
    /// Neither spawned nor ordered.
    plain: bool,
    run_times: Tally,
    /// What the last run that was timed took, and how many took as long since the last [`StageNode::book`].
    took: u64,
    took_units: Units,
    runs: u64,
    /// Runs in `running` that have no unit.
    local: usize,
    bound: u64,
}

/// Makes the node of a stage in front of `next`.
pub(crate) fn stage_node<S, In>(stage: S, site: Site, next: BoxNode<S::Out>) -> BoxNode<In>
where
    S: Stage<In>,
    In: Send + 'static,
{
    let stage = Arc::new(Lent { stage, pending: Mutex::new(None) });
    Box::new(node_of(stage, site, next, run::<S, In>))
}

/// Names the type of the future that `make` makes.
fn node_of<S, In, M, F>(stage: Arc<Lent<S>>, site: Site, next: BoxNode<S::Out>, make: M) -> StageNode<S, In, M, F>
where
    S: Stage<In>,
    In: Send + 'static,
    M: Fn(Arc<Lent<S>>, Guard, Option<Arc<Unit>>, bool, Parcel<In>) -> F,
    F: Future<Output = DoneOf<S, In>>,
{
    StageNode {
        name: site.shared.stages[site.stage].name.clone(),
        order: site.plan.ordered.then(Order::new),
        plain: site.plan.placement != Placement::Spawned && !site.plan.ordered,
        spare: None,
        stage,
        site,
        make,
        spot: Box::pin(None),
        running: FuturesUnordered::new(),
        next,
        run_times: Tally::alone(),
        took: 0,
        took_units: Units::of(0),
        runs: 0,
        local: 0,
        bound: NEVER,
    }
}

impl<S, In, M, F> StageNode<S, In, M, F>
where
    S: Stage<In>,
    In: Send + 'static,
    M: Fn(Arc<Lent<S>>, Guard, Option<Arc<Unit>>, bool, Parcel<In>) -> F + Send,
    F: Future<Output = DoneOf<S, In>> + Send + 'static,
{
    /// When a run that starts at `now` has run out of time.
    fn limit(&self, cell: &Cell, now: u64) -> u64 {
        let limit = self.site.plan.timeout.map_or(NEVER, |t: Duration| later(now, t));
        cell.deadline.min(limit)
    }

    fn wait_for(&mut self, work: Work<F, DoneOf<S, In>>, start: Start) {
        self.bound = self.bound.min(start.bound);
        self.local += usize::from(start.local);
        self.running.push(Running::new(work, start));
    }

    /// Starts a run in a task of its own.
    #[inline(never)]
    fn spawn(&mut self, flight: Flight<In>, started: u64) {
        let Flight { guard, parcel, unit } = flight;
        let cell = guard.cell().clone();
        let unit = unit.unwrap_or_else(|| Unit::counted(&self.site.gate, None));
        cell.lend(unit.clone());
        let span = if spans::enabled() { spans::stage(&cell, &self.name) } else { Span::none() };
        let number = self.order.as_mut().map_or(0, Order::start);
        let stage = self.spare.take().unwrap_or_else(|| self.stage.clone());
        let bound = self.limit(&cell, started);
        // Boxed, as Tokio would move it, which may be thousands of bytes, half a dozen times from its task's birth to its end.
        let run = Box::pin((self.make)(stage, guard, Some(unit), false, parcel).instrument(span));
        // Tracked, because a run that is given up here is dropped a moment later, by its runtime.
        let token = self.site.shared.tracker.token();
        let task = AbortOnDropHandle::new(tokio::spawn(async move { (run.await, token) }));
        let start = Start { cell, span: Span::none(), started, bound, number, local: false };
        self.wait_for(Work::Task(task), start);
    }

    /// Starts a run that has a unit, a span, a task or a place in an order.
    #[inline(never)]
    fn start_with_more(&mut self, flight: Flight<In>, round: &mut Round<'_, '_>) {
        let started = round.now;
        if self.site.plan.placement == Placement::Spawned {
            return self.spawn(flight, started);
        }
        let Flight { guard, parcel, unit } = flight;
        let local = unit.is_none();
        if let Some(unit) = &unit {
            guard.cell().lend(unit.clone());
        }
        let span = if spans::enabled() { spans::stage(guard.cell(), &self.name) } else { Span::none() };
        let number = self.order.as_mut().map_or(0, Order::start);
        match span.in_scope(|| self.first_poll(guard, unit, parcel, round)) {
            Poll::Ready(done) => self.finish_apart(done, started, number, round),
            Poll::Pending => self.keep(started, number, local, span, round),
        }
    }

    /// Makes a run in the spot and polls it there.
    #[inline(always)]
    fn first_poll(
        &mut self,
        guard: Guard,
        unit: Option<Arc<Unit>>,
        parcel: Parcel<In>,
        round: &mut Round<'_, '_>,
    ) -> Poll<DoneOf<S, In>> {
        let stage = self.spare.take().unwrap_or_else(|| self.stage.clone());
        self.spot.set(Some((self.make)(stage, guard, unit, true, parcel)));
        self.spot.as_mut().as_pin_mut().expect("it has just been set").poll(round.task)
    }

    /// Moves a run that is pending out of the spot, to wait for it.
    #[inline(never)]
    fn keep(&mut self, started: u64, number: u64, local: bool, span: Span, round: &mut Round<'_, '_>) {
        let cell = lock(&self.stage.pending).take().expect("a pending run leaves its cell");
        let bound = self.limit(&cell, started);
        let spot = std::mem::replace(&mut self.spot, Box::pin(None));
        round.tick();
        let start = Start { cell, span, started, bound, number, local };
        self.wait_for(Work::Here(spot), start);
    }

    /// Records the runs that took as long as the last one that was timed.
    fn book(&mut self) {
        if self.runs > 0 {
            let runs = std::mem::take(&mut self.runs);
            self.run_times.record_many(self.took, runs, &self.site.shared.stages[self.site.stage].run);
        }
    }

    /// Books a run's end and hands its output on.
    ///
    /// Always inlined: what a run gives back lies in registers and in its spot then, instead of being moved there and back.
    #[inline(always)]
    fn finish(&mut self, done: DoneOf<S, In>, started: u64, number: u64, round: &mut Round<'_, '_>) {
        let Done { stage, guard, unit, result } = done;
        self.spare = Some(stage);
        if round.timed {
            self.time(started, round);
        }
        self.runs += 1;
        let cell = guard.cell();
        cell.times(self.site.stage).ran(self.took_units);
        let unit = cell.end_run().or(unit);
        if let (Some(unit), Ok(_)) = (&unit, &result) {
            unit.complete();
        }
        match result {
            Ok(parcel) if self.order.is_none() => self.next.start(Flight { guard, parcel, unit }, round),
            Ok(parcel) => self.hand_on(Flight { guard, parcel, unit }, number, round),
            Err(failure) => self.fail(guard, unit, *failure, number, round),
        }
    }

    /// [`finish`](Self::finish) where it need not be inlined.
    #[inline(never)]
    fn finish_apart(&mut self, done: DoneOf<S, In>, started: u64, number: u64, round: &mut Round<'_, '_>) {
        self.finish(done, started, number, round);
    }

    /// Times a run that ends now.
    #[inline(never)]
    fn time(&mut self, started: u64, round: &mut Round<'_, '_>) {
        self.book();
        self.took = round.tick().saturating_sub(started);
        self.took_units = Units::of(self.took);
    }

    /// Ends a request whose run has no output.
    #[cold]
    fn fail(
        &mut self,
        guard: Guard,
        unit: Option<Arc<Unit>>,
        failure: Failure,
        number: u64,
        round: &mut Round<'_, '_>,
    ) {
        let error = match failure {
            Failure::Error(error) => Error::from_stage(&self.name, error),
            Failure::Panic(panic) => guard.cell().panicked(self.name.clone(), &*panic),
        };
        drop(unit);
        guard.cell().end(Ending::Failed(error));
        drop(guard);
        self.skip(number, round);
    }

    /// Hands a run's output on in its turn.
    #[inline(never)]
    fn hand_on(&mut self, flight: Flight<S::Out>, number: u64, round: &mut Round<'_, '_>) {
        let Some(order) = &mut self.order else {
            return self.next.start(flight, round);
        };
        self.bound = self.bound.min(flight.guard.cell().deadline);
        order.hold(number, flight);
        while let Some(flight) = order.next() {
            self.next.start(flight, round);
        }
    }

    /// Nothing comes of run `number`.
    fn skip(&mut self, number: u64, round: &mut Round<'_, '_>) {
        let Some(order) = &mut self.order else { return };
        order.skip(number);
        while let Some(flight) = order.next() {
            self.next.start(flight, round);
        }
    }
}

impl<S, In, M, F> Node<In> for StageNode<S, In, M, F>
where
    S: Stage<In>,
    In: Send + 'static,
    M: Fn(Arc<Lent<S>>, Guard, Option<Arc<Unit>>, bool, Parcel<In>) -> F + Send,
    F: Future<Output = DoneOf<S, In>> + Send + 'static,
{
    fn start(&mut self, flight: Flight<In>, round: &mut Round<'_, '_>) {
        let cell = flight.guard.cell();
        if cell.is_settled() {
            return;
        }
        cell.stage.store(self.site.stage as u32, Ordering::Release);
        if !self.plain || flight.unit.is_some() || spans::enabled() {
            return self.start_with_more(flight, round);
        }
        let started = round.now;
        match self.first_poll(flight.guard, None, flight.parcel, round) {
            Poll::Ready(done) => self.finish(done, started, 0, round),
            Poll::Pending => self.keep(started, 0, true, Span::none(), round),
        }
    }

    fn poll(&mut self, round: &mut Round<'_, '_>) -> bool {
        let mut moved = false;
        while !self.running.is_empty() {
            let Poll::Ready(Some(ended)) = self.running.poll_next_unpin(round.task) else { break };
            moved = true;
            let Ended { number, local, cell, started, done } = ended;
            self.local -= usize::from(local);
            match done {
                Some(done) => self.finish_apart(done, started, number, round),
                None => {
                    drop(cell.end_run());
                    self.skip(number, round);
                }
            }
        }
        if self.running.is_empty() {
            self.bound = NEVER;
        }
        self.next.poll(round) || moved
    }

    fn flush(&mut self, now: u64) {
        self.book();
        self.run_times.flush(&self.site.shared.stages[self.site.stage].run);
        self.next.flush(now);
    }

    fn inside(&self) -> usize {
        self.local + self.order.as_ref().map_or(0, Order::local) + self.next.inside()
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.order.as_ref().is_none_or(Order::is_empty) && self.next.is_empty()
    }

    fn bound(&self) -> u64 {
        self.bound.min(self.next.bound())
    }

    fn expire(&mut self, now: u64) {
        if self.bound <= now {
            self.bound = NEVER;
            for running in Pin::new(&mut self.running).iter_pin_mut() {
                if running.bound > now {
                    self.bound = self.bound.min(running.bound);
                    continue;
                }
                let kind = if running.cell.deadline <= now { ErrorKind::Deadline } else { ErrorKind::Timeout };
                // Wakes the run, which drops its work.
                running.cell.end(Ending::Failed(Error::plain(kind, Some(self.name.clone()))));
            }
            if let Some(order) = &self.order {
                for flight in order.held() {
                    let cell = flight.guard.cell();
                    if cell.deadline > now {
                        self.bound = self.bound.min(cell.deadline);
                        continue;
                    }
                    cell.end(Ending::Failed(Error::plain(ErrorKind::Deadline, Some(self.name.clone()))));
                }
            }
            self.sweep();
        }
        self.next.expire(now);
    }

    fn sweep(&mut self) {
        if let Some(order) = &mut self.order {
            order.release(|flight| flight.guard.cell().is_settled());
        }
        self.next.sweep();
    }

    fn cancel_all(&mut self) {
        for running in Pin::new(&mut self.running).iter_pin_mut() {
            running.cell.end(Ending::Cancelled);
        }
        if let Some(order) = &self.order {
            for flight in order.held() {
                flight.guard.cell().end(Ending::Cancelled);
            }
        }
        self.sweep();
        self.next.cancel_all();
    }
}
