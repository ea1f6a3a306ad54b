//! What the tests put into a queue, and how they handle it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use crate::queue::{Effects, Entry, Key, NEVER, Popped, Pushed, Queue, Take};
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
    pub(super) dead: Cell<bool>,
    pub(super) place: Cell<Option<(u32, Key)>>,
    pub(super) admissions: Cell<u32>,
}

impl Item {
    pub(super) fn new(id: u32, lane: usize, deadline: u64) -> Self {
        Self(Rc::new(Facts {
            id,
            lane,
            deadline,
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

/// A queue whose tickets are the numbers of their entries, and what its last operation left.
pub(super) struct Rig {
    pub(super) queue: Queue<Item, u32>,
    pub(super) effects: Effects<Item, u32>,
}

impl Rig {
    pub(super) fn new(depth: usize) -> Self {
        Self { queue: Queue::new(QUEUE, depth), effects: Effects::new() }
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
        self.effects = Effects::new();
        let mut out = VecDeque::new();
        let popped = self.queue.pop(Take { limit, least: 1, lanes }, &mut out, None, &mut self.effects);
        assert_eq!(popped.count, out.len());
        ids(out)
    }

    /// Has a consumer that can pop nothing wait for news.
    pub(super) fn park(&mut self, waker: &Waker, hungry: bool) -> Popped {
        self.effects = Effects::new();
        let popped = self.queue.pop(Take::up_to(0), &mut VecDeque::new(), Some((waker, hungry)), &mut self.effects);
        assert_eq!(popped.count, 0);
        popped
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
