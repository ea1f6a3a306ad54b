//! Entries, queues and sleepers for the loom models.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::task::{Wake, Waker};

use loom::model::Builder;
use loom::sync::Notify;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicBool, AtomicU64};
use loom::thread::{self, JoinHandle};

use crate::queue::{Effects, Entry, Key, NEVER, Popped, Pushed, Queue, Rules, Take, Turns};
use crate::stage::ShedPolicy;

/// Checks `body` under every interleaving with up to three preemptions.
pub(super) fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// An entry; clones stand for the same one, which only one of them at a time may deal with.
#[derive(Clone)]
pub(super) struct Item(pub(super) Arc<Facts>);

pub(super) struct Facts {
    pub(super) id: usize,
    deadline: u64,
    flow: u32,
    pub(super) dead: AtomicBool,
    pub(super) place: AtomicU64,
    pub(super) admitted: AtomicBool,
    served: AtomicBool,
    /// How often it was admitted, came out of a queue for good, and had its ticket handed back.
    admissions: Count,
    fates: Count,
    tickets: Count,
}

impl Item {
    pub(super) fn new(id: usize) -> Self {
        Self::due(id, NEVER)
    }

    pub(super) fn due(id: usize, deadline: u64) -> Self {
        Self::of(0, id, deadline)
    }

    /// An entry of a flow.
    pub(super) fn of(flow: u32, id: usize, deadline: u64) -> Self {
        Self(Arc::new(Facts {
            id,
            deadline,
            flow,
            dead: AtomicBool::new(false),
            place: AtomicU64::new(0),
            admitted: AtomicBool::new(false),
            served: AtomicBool::new(false),
            admissions: Count::new(0),
            fates: Count::new(0),
            tickets: Count::new(0),
        }))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its end, as far as the queues go.
    pub(super) fn let_go(&self) {
        self.0.fates.fetch_add(1, Relaxed);
    }

    /// Times admitted, ended, and given its ticket back.
    pub(super) fn history(&self) -> [usize; 3] {
        [&self.0.admissions, &self.0.fates, &self.0.tickets].map(|count| count.load(Relaxed))
    }
}

impl Entry for Item {
    fn lane(&self) -> usize {
        1
    }

    fn deadline(&self) -> u64 {
        self.0.deadline
    }

    fn since(&self) -> u64 {
        0
    }

    fn flow(&self) -> u32 {
        self.0.flow
    }

    fn is_dead(&self) -> bool {
        self.0.dead.load(Acquire)
    }

    fn placed(&self, queue: u32, key: Key) {
        self.0.place.store(u64::from(queue) << 32 | u64::from(key), Release);
    }

    fn admitted(&self) {
        self.0.admissions.fetch_add(1, Relaxed);
        self.0.admitted.store(true, Release);
    }
}

/// Gives the turn to the flow that came last.
pub(super) struct LastFirst;

impl Turns<Item> for LastFirst {
    fn next(&mut self, flows: &[u32]) -> usize {
        flows.len() - 1
    }

    fn served(&mut self, entry: &Item) {
        assert!(!entry.0.served.swap(true, Relaxed), "it was served twice");
    }
}

pub(super) struct Ticket(pub(super) Item, pub(super) Waker);

/// A queue that deals with what its operations leave.
pub(super) struct Line(pub(super) Queue<Item, Ticket>);

impl Line {
    pub(super) fn new(id: u32, depth: usize) -> Arc<Self> {
        Arc::new(Self(Queue::new(id, Rules { depth, max_wait: NEVER, aging: NEVER, codel: None })))
    }

    /// Runs an operation, and counts the fate of every entry that it lets go of.
    pub(super) fn with<R>(&self, operation: impl FnOnce(&Queue<Item, Ticket>, &mut Effects<Item, Ticket>) -> R) -> R {
        let mut effects = Effects::new();
        let result = operation(&self.0, &mut effects);
        for Ticket(item, waker) in effects.tickets.drain(..) {
            item.0.tickets.fetch_add(1, Relaxed);
            waker.wake();
        }
        for list in [&effects.evicted, &effects.rejected, &effects.dead, &effects.expired] {
            list.iter().for_each(Item::let_go);
        }
        effects.wake();
        result
    }

    /// Pushes, and counts the fate of an entry that is handed back; tells whether it was not.
    pub(super) fn push(&self, item: &Item, full: ShedPolicy) -> bool {
        let ticket = |item: &Item| Ticket(item.clone(), Waker::noop().clone());
        match self.with(|queue, effects| queue.push(item.clone(), full, ticket, &mut effects.wake)) {
            Pushed::Admitted | Pushed::Waiting(_) => true,
            Pushed::Instead(victim) => {
                victim.let_go();
                true
            }
            Pushed::Full(item) | Pushed::Closed(item) | Pushed::Dead(item) => {
                item.let_go();
                false
            }
        }
    }

    /// Pops one entry, whose fate is left to the caller.
    pub(super) fn pop(&self, waker: Option<(&Waker, bool)>) -> (Option<Item>, Popped) {
        let mut out = VecDeque::new();
        let popped = self.with(|queue, effects| queue.pop(Take::up_to(1), &mut out, waker, effects, None));
        (out.pop_front(), popped)
    }

    /// Sleeps until there is an entry to pop, of the flow that came last.
    pub(super) fn next_in_turn(&self) -> Item {
        let mut out = VecDeque::new();
        block_on(|waker| {
            let waker = Some((waker, true));
            self.with(|queue, effects| queue.pop(Take::up_to(1), &mut out, waker, effects, Some(&mut LastFirst)));
            out.pop_front()
        })
    }

    /// Sleeps until there is an entry to pop; `None` when the queue is finished.
    pub(super) fn next(&self) -> Option<Item> {
        block_on(|waker| match self.pop(Some((waker, true))) {
            (Some(item), _) => Some(Some(item)),
            (None, popped) => popped.finished.then_some(None),
        })
    }

    /// Pops the rest without sleeping.
    pub(super) fn drain(&self) -> Vec<usize> {
        let items = std::iter::from_fn(|| self.pop(None).0);
        items.inspect(Item::let_go).map(|item| item.0.id).collect()
    }

    pub(super) fn remove(&self, item: &Item) -> bool {
        let key = item.0.place.load(Acquire) as Key;
        self.with(|queue, effects| queue.remove(key, |found| found.is(item), effects)).inspect(Item::let_go).is_some()
    }

    pub(super) fn close(&self) {
        self.with(Queue::close);
    }
}

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Asks again after each wake-up, until there is an answer.
pub(super) fn block_on<R>(mut ask: impl FnMut(&Waker) -> Option<R>) -> R {
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(bell.clone());
    loop {
        if let Some(answer) = ask(&waker) {
            return answer;
        }
        bell.0.wait();
    }
}

/// Runs `task` with a line and an entry of its own in another thread.
pub(super) fn spawn<R: 'static>(line: &Arc<Line>, item: &Item, task: fn(&Line, &Item) -> R) -> JoinHandle<R> {
    let (line, item) = (line.clone(), item.clone());
    thread::spawn(move || task(&line, &item))
}

pub(super) fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("loom reports a panic before")
}

/// What [`Cell::take_out`](crate::runtime::cell::Cell::take_out) does after the entry was marked.
pub(super) fn take_out(lines: &[Arc<Line>], item: &Item) {
    loop {
        let place = item.0.place.load(Acquire);
        let here = (place >> 32) as usize;
        if lines[here].remove(item) {
            return;
        }
        if let Some(next) = lines.get(here + 1) {
            next.0.sync();
        }
        if item.0.place.load(Acquire) == place {
            return;
        }
    }
}
