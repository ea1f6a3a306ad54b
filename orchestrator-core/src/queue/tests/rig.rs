//! What the tests put into a queue, and how they handle it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use crate::queue::{Effects, Entry, Key, NEVER, Popped, Pushed, Queue, Rules, Take, Turns};
use crate::stage::ShedPolicy;

/// The number of the queue under test.
pub(super) const QUEUE: u32 = 7;

/// An entry; clones stand for the same one.
#[derive(Clone)]
pub(super) struct Item(pub(super) Rc<Facts>);

pub(super) struct Facts {
    pub(super) id: u32,
    pub(super) lane: usize,
    pub(super) deadline: u64,
    pub(super) since: u64,
    pub(super) flow: u32,
    pub(super) dead: Cell<bool>,
    pub(super) place: Cell<Option<(u32, Key)>>,
    pub(super) admissions: Cell<u32>,
}

impl Item {
    pub(super) fn new(id: u32, lane: usize, deadline: u64) -> Self {
        Self::pushed_at(0, 0, id, lane, deadline)
    }

    pub(super) fn pushed_at(since: u64, flow: u32, id: u32, lane: usize, deadline: u64) -> Self {
        Self(Rc::new(Facts {
            id,
            lane,
            deadline,
            since,
            flow,
            dead: Cell::new(false),
            place: Cell::new(None),
            admissions: Cell::new(0),
        }))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id
    }

    /// Where it was placed last.
    pub(super) fn key(&self) -> Key {
        self.0.place.get().map_or(0, |(_, key)| key)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.id())
    }
}

impl Entry for Item {
    fn lane(&self) -> usize {
        self.0.lane
    }

    fn deadline(&self) -> u64 {
        self.0.deadline
    }

    fn since(&self) -> u64 {
        self.0.since
    }

    fn flow(&self) -> u32 {
        self.0.flow
    }

    fn is_dead(&self) -> bool {
        self.0.dead.get()
    }

    fn placed(&self, queue: u32, key: Key) {
        self.0.place.set(Some((queue, key)));
    }

    fn admitted(&self) {
        self.0.admissions.set(self.0.admissions.get() + 1);
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(super) struct Bell(AtomicUsize);

impl Bell {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), bell.into())
    }

    pub(super) fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn ids(items: impl IntoIterator<Item = Item>) -> Vec<u32> {
    items.into_iter().map(|item| item.id()).collect()
}

/// Turns as they were written down before, over and over; and what they were asked and told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Script {
    pub(super) picks: Vec<usize>,
    pub(super) asked: Vec<Vec<u32>>,
    pub(super) served: Vec<u32>,
}

impl Script {
    pub(super) fn new(picks: impl Into<Vec<usize>>) -> Self {
        Self { picks: picks.into(), ..Self::default() }
    }
}

impl Turns<Item> for Script {
    fn next(&mut self, flows: &[u32]) -> usize {
        let pick = self.picks[self.asked.len() % self.picks.len()];
        self.asked.push(flows.to_vec());
        pick % flows.len()
    }

    fn served(&mut self, entry: &Item) {
        self.served.push(entry.id());
    }
}

/// The rules of a queue that is nothing but bounded.
pub(super) const fn plain(depth: usize) -> Rules {
    Rules { depth, max_wait: NEVER, aging: NEVER, codel: None }
}

/// A queue whose tickets are the numbers of their entries, and what its last operation left.
pub(super) struct Rig {
    pub(super) queue: Queue<Item, u32>,
    pub(super) effects: Effects<Item, u32>,
}

impl Rig {
    pub(super) fn new(depth: usize) -> Self {
        Self::ruled(plain(depth))
    }

    pub(super) fn ruled(rules: Rules) -> Self {
        Self { queue: Queue::new(QUEUE, rules), effects: Effects::new() }
    }

    /// A queue with the entries `0..admitted + waiting` of the middle lane, of which the last ones wait.
    pub(super) fn filled(admitted: usize, waiting: usize) -> (Self, Vec<Item>) {
        let mut rig = Self::new(admitted);
        let items: Vec<_> = (0..admitted + waiting).map(|id| Item::new(id as u32, 1, NEVER)).collect();
        for item in &items {
            rig.push(item, ShedPolicy::Backpressure);
        }
        (rig, items)
    }

    pub(super) fn push(&mut self, item: &Item, full: ShedPolicy) -> Pushed<Item> {
        self.effects = Effects::new();
        match self.queue.push(item.clone(), full, Item::id, &mut self.effects.wake) {
            Pushed::Instead(victim) => {
                self.effects.evicted.push(victim);
                Pushed::Admitted
            }
            pushed => pushed,
        }
    }

    pub(super) fn push_new(&mut self, id: u32, lane: usize, full: ShedPolicy) -> Pushed<Item> {
        self.push(&Item::new(id, lane, NEVER), full)
    }

    pub(super) fn pop(&mut self, limit: usize, lanes: usize) -> Vec<u32> {
        self.take(Take { lanes, ..Take::up_to(limit) }, None).0
    }

    pub(super) fn pop_at(&mut self, now: u64, limit: usize) -> Vec<u32> {
        self.take(Take { now, ..Take::up_to(limit) }, None).0
    }

    pub(super) fn pop_in_turns(&mut self, limit: usize, turns: &mut Script) -> Vec<u32> {
        let mut out = VecDeque::new();
        self.effects = Effects::new();
        self.queue.pop(Take::up_to(limit), &mut out, None, &mut self.effects, Some(turns));
        ids(out)
    }

    pub(super) fn take(&mut self, take: Take, waker: Option<(&Waker, bool)>) -> (Vec<u32>, Popped) {
        self.effects = Effects::new();
        let mut out = VecDeque::new();
        let popped = self.queue.pop(take, &mut out, waker, &mut self.effects, None);
        assert_eq!(popped.count, out.len());
        (ids(out), popped)
    }

    /// Has a consumer that can pop nothing wait for news.
    pub(super) fn park(&mut self, waker: &Waker, hungry: bool) -> Popped {
        self.take(Take::up_to(0), Some((waker, hungry))).1
    }

    pub(super) fn remove(&mut self, item: &Item) -> bool {
        self.effects = Effects::new();
        self.queue.remove(item.key(), |found| found.is(item), &mut self.effects).is_some()
    }

    pub(super) fn expire(&mut self, now: u64) {
        self.effects = Effects::new();
        self.queue.expire(now, &mut self.effects);
    }

    pub(super) fn close(&mut self) {
        self.effects = Effects::new();
        self.queue.close(&mut self.effects);
    }

    pub(super) fn admitted(&self) -> usize {
        self.queue.depth().admitted
    }
}
