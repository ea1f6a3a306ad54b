//! The queue under every interleaving that loom finds with three preemptions.
//!
//! `RUSTFLAGS="--cfg queue_loom" cargo test -p orchestrator-core --lib --release queue::loom`
//!
//! A lost wake-up shows as a deadlock: loom fails a model whose threads all sleep.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::task::{Wake, Waker};

use loom::model::Builder;
use loom::sync::Notify;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::atomic::{AtomicBool, AtomicU64};
use loom::thread::{self, JoinHandle};

use super::*;
use ShedPolicy::{Backpressure, DropOldest, RejectNew};

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// An entry; clones stand for the same one, which only one of them at a time may deal with.
#[derive(Clone)]
struct Item(Arc<Facts>);

struct Facts {
    id: usize,
    deadline: u64,
    dead: AtomicBool,
    place: AtomicU64,
    admitted: AtomicBool,
    /// How often it was admitted, came out of a queue for good, and had its ticket handed back.
    admissions: Count,
    fates: Count,
    tickets: Count,
}

impl Item {
    fn new(id: usize) -> Self {
        Self::due(id, NEVER)
    }

    fn due(id: usize, deadline: u64) -> Self {
        Self(Arc::new(Facts {
            id,
            deadline,
            dead: AtomicBool::new(false),
            place: AtomicU64::new(0),
            admitted: AtomicBool::new(false),
            admissions: Count::new(0),
            fates: Count::new(0),
            tickets: Count::new(0),
        }))
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its end, as far as the queues go.
    fn let_go(&self) {
        self.0.fates.fetch_add(1, Relaxed);
    }

    /// Times admitted, ended, and given its ticket back.
    fn history(&self) -> [usize; 3] {
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

struct Ticket(Item, Waker);

/// A queue that deals with what its operations leave.
struct Line(Queue<Item, Ticket>);

impl Line {
    fn new(id: u32, depth: usize) -> Arc<Self> {
        Arc::new(Self(Queue::new(id, depth)))
    }

    /// Runs an operation, and counts the fate of every entry that it lets go of.
    fn with<R>(&self, operation: impl FnOnce(&Queue<Item, Ticket>, &mut Effects<Item, Ticket>) -> R) -> R {
        let mut effects = Effects::new();
        let result = operation(&self.0, &mut effects);
        for Ticket(item, waker) in effects.tickets.drain(..) {
            item.0.tickets.fetch_add(1, Relaxed);
            waker.wake();
        }
        for list in [&effects.evicted, &effects.rejected, &effects.dead] {
            list.iter().for_each(Item::let_go);
        }
        effects.wake();
        result
    }

    /// Pushes, and counts the fate of an entry that is handed back; tells whether it was not.
    fn push(&self, item: &Item, full: ShedPolicy) -> bool {
        let ticket = |item: &Item| Ticket(item.clone(), Waker::noop().clone());
        match self.with(|queue, effects| queue.push(item.clone(), full, ticket, effects)) {
            Pushed::Admitted | Pushed::Waiting(_) => true,
            Pushed::Full(item) | Pushed::Closed(item) | Pushed::Dead(item) => {
                item.let_go();
                false
            }
        }
    }

    /// Pops one entry, whose fate is left to the caller.
    fn pop(&self, waker: Option<(&Waker, bool)>) -> (Option<Item>, Popped) {
        let mut out = VecDeque::new();
        let popped = self.with(|queue, effects| queue.pop(1, LANES, &mut out, waker, effects));
        (out.pop_front(), popped)
    }

    /// Sleeps until there is an entry to pop; `None` when the queue is finished.
    fn next(&self) -> Option<Item> {
        block_on(|waker| match self.pop(Some((waker, true))) {
            (Some(item), _) => Some(Some(item)),
            (None, popped) => popped.finished.then_some(None),
        })
    }

    /// Pops the rest without sleeping.
    fn drain(&self) -> Vec<usize> {
        let items = std::iter::from_fn(|| self.pop(None).0);
        items.inspect(Item::let_go).map(|item| item.0.id).collect()
    }

    fn remove(&self, item: &Item) -> bool {
        let key = item.0.place.load(Acquire) as Key;
        self.with(|queue, effects| queue.remove(key, |found| found.is(item), effects)).inspect(Item::let_go).is_some()
    }

    fn close(&self) {
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
fn block_on<R>(mut ask: impl FnMut(&Waker) -> Option<R>) -> R {
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
fn spawn<R: 'static>(line: &Arc<Line>, item: &Item, task: fn(&Line, &Item) -> R) -> JoinHandle<R> {
    let (line, item) = (line.clone(), item.clone());
    thread::spawn(move || task(&line, &item))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("loom reports a panic before")
}

/// What [`Cell::take_out`](crate::runtime::cell::Cell::take_out) does after the entry was marked.
fn take_out(lines: &[Arc<Line>], item: &Item) {
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

#[test]
fn every_pushed_entry_is_popped() {
    model(|| {
        let line = Line::new(0, 2);
        let items = [0, 1].map(Item::new);
        let producers = [0, 1].map(|i| spawn(&line, &items[i], |line, item| line.push(item, RejectNew)));
        for _ in 0..2 {
            line.next().expect("it is not closed").let_go();
        }
        producers.map(|producer| assert!(join(producer)));
        assert!(items.iter().all(|item| item.history() == [1, 1, 0]));
    });
}

#[test]
fn a_close_leaves_no_entry_behind_and_no_consumer_asleep() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        let producers = [0, 1].map(|i| spawn(&line, &items[i], |line, item| line.push(item, Backpressure)));
        let closer = spawn(&line, &items[0], |line, _| line.close());
        while let Some(item) = line.next() {
            item.let_go();
        }
        producers.map(join);
        join(closer);
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}

#[test]
fn a_shut_door_wakes_the_consumer_and_refuses_what_waits() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        items.iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let closer = spawn(&line, &items[0], |line, _| {
            line.with(|queue, effects| {
                queue.close(effects);
                queue.take_waiting(effects);
            });
        });
        while let Some(item) = line.next() {
            item.let_go();
        }
        join(closer);
        assert_eq!(items[0].history(), [1, 1, 0]);
        assert_eq!(items[1].history()[1..], [1, 1]);
    });
}

#[test]
fn the_removal_of_the_last_entry_finishes_a_closed_queue() {
    model(|| {
        let line = Line::new(0, 1);
        let item = Item::new(0);
        line.push(&item, Backpressure);
        line.close();
        let canceller = spawn(&line, &item, Line::remove);
        // A consumer without room: it pops nothing, and is not hungry.
        block_on(|waker| {
            let pop = |queue: &Queue<_, _>, effects: &mut _| {
                queue.pop(0, LANES, &mut VecDeque::new(), Some((waker, false)), effects)
            };
            line.with(pop).finished.then_some(())
        });
        assert!(join(canceller));
    });
}

#[test]
fn a_sated_consumer_hears_of_an_earlier_deadline() {
    model(|| {
        let line = Line::new(0, 1);
        line.push(&Item::due(0, 9), Backpressure);
        let producer = spawn(&line, &Item::due(1, 5), |line, item| line.push(item, Backpressure));
        block_on(|waker| {
            let pop = |queue: &Queue<_, _>, effects: &mut _| {
                queue.pop(0, LANES, &mut VecDeque::new(), Some((waker, false)), effects)
            };
            (line.with(pop).bound == 5).then_some(())
        });
        assert!(join(producer));
    });
}

fn shed(full: ShedPolicy) {
    model(move || {
        let line = Line::new(0, 1);
        let items = [0, 1, 2].map(Item::new);
        line.push(&items[0], full);
        let producers = [1, 2].map(|i| {
            let (line, item) = (line.clone(), items[i].clone());
            thread::spawn(move || line.push(&item, full))
        });
        if let (Some(item), _) = line.pop(None) {
            item.let_go();
        }
        assert!(line.0.depth().admitted <= 1);
        producers.map(join);
        assert!(line.0.depth().admitted <= 1);
        line.drain();
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}

#[test]
fn two_who_drop_the_oldest_never_overfill_the_queue() {
    shed(DropOldest);
}

#[test]
fn two_who_are_rejected_never_overfill_the_queue() {
    shed(RejectNew);
}

/// Cancels an entry on its way through two queues, of which the second may be full, and may be popped from.
fn cancel(second_is_full: bool, second_is_popped: bool) {
    model(move || {
        let lines = [Line::new(0, 1), Line::new(1, 1)];
        let [item, other] = [0, 1].map(Item::new);
        lines[0].push(&item, Backpressure);
        if second_is_full {
            lines[1].push(&other, Backpressure);
        }
        let [first, second] = lines.clone();
        let stage = thread::spawn(move || match first.pop(None).0 {
            Some(item) if item.is_dead() => item.let_go(),
            Some(item) => drop(second.push(&item, Backpressure)),
            None => {}
        });
        let last = second_is_popped.then(|| spawn(&lines[1], &other, |line, _| line.drain()));
        item.0.dead.store(true, Release);
        take_out(&lines, &item);
        join(stage);
        last.map(join);
        let left: Vec<_> = lines.iter().flat_map(|line| line.drain()).collect();
        assert!(!left.contains(&0), "it stayed inside");
        assert_eq!(item.history()[1], 1);
        assert_eq!(other.history()[1], usize::from(second_is_full));
    });
}

#[test]
fn a_cancelled_entry_does_not_stay_in_the_next_queue() {
    cancel(false, false);
}

#[test]
fn a_cancelled_entry_does_not_stay_waiting_for_the_next_queue() {
    cancel(true, false);
}

#[test]
fn a_cancelled_entry_leaves_once_while_both_queues_move() {
    cancel(true, true);
}

#[test]
fn whoever_waits_is_admitted_once_and_gets_the_ticket_back_once() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1, 2, 3].map(Item::new);
        items[..2].iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let producers = [2, 3].map(|i| spawn(&line, &items[i], |line, item| line.push(item, Backpressure)));
        for _ in 0..4 {
            line.next().expect("it is not closed").let_go();
            assert!(line.0.depth().admitted <= 1);
        }
        producers.map(|producer| assert!(join(producer)));
        assert_eq!(line.0.depth().admitted_ever, 4);
        assert_eq!(items[0].history(), [1, 1, 0]);
        assert_eq!(items[1].history(), [1, 1, 1]);
        assert!(items[2..].iter().all(|item| item.history()[..2] == [1, 1] && item.history()[2] <= 1));
    });
}

#[test]
fn one_who_withdraws_while_being_admitted_holds_nobody_up() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1, 2].map(Item::new);
        items.iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let leaver = spawn(&line, &items[1], |line, item| {
            item.0.dead.store(true, Release);
            line.remove(item)
        });
        while line.next().inspect(Item::let_go).is_some_and(|item| item.0.id != 2) {}
        join(leaver);
        let [first, left, last] = items.map(|item| item.history());
        assert_eq!((first, &left[1..], last), ([1, 1, 0], &[1, 1][..], [1, 1, 1]));
        assert_eq!(line.0.depth().admitted_ever as usize, 2 + left[0]);
        assert!(line.0.lock().slab.is_empty());
    });
}

/// Waits at the door as `Admission` does, while `rival` makes room or shuts it; tells whether it was let in.
fn wait_at_the_door(rival: fn(&Line, &Item)) -> bool {
    let line = Line::new(0, 1);
    let [first, item] = [0, 1].map(Item::new);
    line.push(&first, Backpressure);
    line.push(&item, Backpressure);
    let key = item.0.place.load(Acquire) as Key;
    let rival = spawn(&line, &first, rival);
    let admitted = block_on(|waker| {
        let ticket = Ticket(item.clone(), waker.clone());
        let waits = line.0.replace_ticket(key, |found| found.is(&item), ticket);
        (!waits).then(|| item.0.admitted.load(Acquire))
    });
    join(rival);
    assert_eq!(item.history()[2], 1);
    admitted
}

#[test]
fn a_caller_at_the_door_hears_of_the_admission() {
    model(|| assert!(wait_at_the_door(|line, _| drop(line.pop(None)))));
    model(|| assert!(wait_at_the_door(|line, first| assert!(line.remove(first)))));
}

#[test]
fn a_caller_at_the_door_hears_of_the_refusal() {
    model(|| assert!(!wait_at_the_door(|line, _| line.with(Queue::take_waiting))));
}

#[test]
fn nothing_is_left_waiting_in_a_queue_that_was_emptied() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        line.push(&items[0], Backpressure);
        let producer = spawn(&line, &items[1], |line, item| line.push(item, Backpressure));
        line.with(Queue::take_all);
        join(producer);
        line.drain();
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}
