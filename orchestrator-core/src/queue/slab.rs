use super::Entry;
use super::flows::Flows;

/// Number of priority lanes.
pub(crate) const LANES: usize = 3;

/// Where an entry lies; reused after it has left.
pub(crate) type Key = u32;

/// No entry.
pub(super) const NIL: Key = Key::MAX;

/// Entries in doubly linked lists over one vector: an admitted and a waiting list per lane.
///
/// All operations take constant time, but for what [`Flows`] say of themselves; the vector grows to the largest number of
/// entries that were in it at once.
#[repr(C)]
pub(super) struct Slab<T, W> {
    pub(super) admitted: u32,
    waiting: u32,
    free: Key,
    /// The queue that this is the inside of.
    id: u32,
    pub(super) nodes: Vec<Node<T>>,
    pub(super) lists: [List; 2 * LANES],
    /// Admitted entries by flow, from the first pop on that asks for turns.
    pub(super) flows: Option<Box<Flows>>,
    /// Tickets of waiting entries by key; apart from the nodes, which stay small for the usual case.
    tickets: Vec<Option<W>>,
}

pub(super) struct Node<T> {
    entry: Option<T>,
    previous: Key,
    next: Key,
    list: u8,
}

#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) first: Key,
    last: Key,
    pub(super) len: u32,
}

/// An entry that was unlinked.
pub(super) struct Taken<T, W> {
    pub(super) entry: T,
    pub(super) ticket: Option<W>,
    pub(super) admitted: bool,
}

impl<T: Entry, W> Slab<T, W> {
    pub(super) const fn new(id: u32) -> Self {
        const EMPTY: List = List { first: NIL, last: NIL, len: 0 };
        Self {
            admitted: 0,
            waiting: 0,
            free: NIL,
            id,
            nodes: Vec::new(),
            lists: [EMPTY; 2 * LANES],
            flows: None,
            tickets: Vec::new(),
        }
    }

    /// Entries that could be popped from the first `lanes` lanes.
    pub(super) fn ready(&self, lanes: usize) -> usize {
        if lanes >= LANES {
            return self.admitted as usize;
        }
        self.lists[..lanes].iter().map(|l| l.len as usize).sum()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.admitted + self.waiting == 0
    }

    /// All keys are below this.
    pub(super) fn keys(&self) -> Key {
        self.nodes.len() as Key
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.nodes.get(key as usize)?.entry.as_ref()
    }

    pub(super) fn push_admitted(&mut self, lane: usize, entry: T) {
        self.admitted += 1;
        self.insert(lane, entry);
    }

    pub(super) fn push_waiting(&mut self, lane: usize, entry: T, ticket: W) -> Key {
        self.waiting += 1;
        let key = self.insert(LANES + lane, entry);
        if self.tickets.len() <= key as usize {
            self.tickets.resize_with(key as usize + 1, || None);
        }
        self.tickets[key as usize] = Some(ticket);
        key
    }

    /// Takes the first admitted entry of the highest class.
    pub(super) fn pop_admitted(&mut self) -> Option<T> {
        let key = self.lists[..LANES].iter().find(|l| l.len > 0)?.first;
        self.take_admitted(key)
    }

    /// Takes the admitted entry under `key`.
    #[inline]
    pub(super) fn take_admitted(&mut self, key: Key) -> Option<T> {
        self.admitted -= 1;
        self.unlink(key);
        self.release(key)
    }

    /// Whether the entry under `key` is admitted; there has to be one.
    pub(super) fn is_admitted(&self, key: Key) -> bool {
        (self.nodes[key as usize].list as usize) < LANES
    }

    /// The first waiting entry of the highest class.
    pub(super) fn first_waiting(&self) -> Option<&T> {
        if self.waiting == 0 {
            return None;
        }
        let list = self.lists[LANES..].iter().find(|l| l.len > 0)?;
        self.get(list.first)
    }

    /// Takes the first waiting entry.
    pub(super) fn pop_waiting(&mut self) -> Option<Taken<T, W>> {
        let key = self.lists[LANES..].iter().find(|l| l.len > 0)?.first;
        self.remove_if(key, |_| true)
    }

    /// Moves the first waiting entry of the highest class to its lane; returns its key and its ticket.
    pub(super) fn admit_first_waiting(&mut self) -> Option<(Key, Option<W>)> {
        if self.waiting == 0 {
            return None;
        }
        let list = self.lists[LANES..].iter().position(|l| l.len > 0)?;
        let key = self.lists[LANES + list].first;
        self.unlink(key);
        self.link(list, key);
        self.waiting -= 1;
        self.admitted += 1;
        if let Some(entry) = &self.nodes[key as usize].entry {
            entry.admitted();
        }
        Some((key, self.tickets[key as usize].take()))
    }

    /// Takes the oldest admitted entry of the lowest class, unless that class is higher than `lane`.
    pub(super) fn evict(&mut self, lane: usize) -> Option<T> {
        let lowest = (lane..LANES).rev().find(|l| self.lists[*l].len > 0)?;
        self.take_admitted(self.lists[lowest].first)
    }

    /// Takes the entry under `key` if it is the one that `is_it` means.
    pub(super) fn remove_if(&mut self, key: Key, is_it: impl FnOnce(&T) -> bool) -> Option<Taken<T, W>> {
        if !is_it(self.get(key)?) {
            return None;
        }
        let admitted = self.is_admitted(key);
        if admitted {
            self.admitted -= 1;
        } else {
            self.waiting -= 1;
        }
        self.unlink(key);
        let ticket = if admitted { None } else { self.tickets[key as usize].take() };
        self.release(key).map(|entry| Taken { entry, ticket, admitted })
    }

    /// Swaps in the ticket of an entry that still waits.
    pub(super) fn replace_ticket(&mut self, key: Key, is_it: impl FnOnce(&T) -> bool, ticket: &mut W) -> bool {
        let still_waits = self.get(key).is_some_and(is_it) && !self.is_admitted(key);
        if still_waits && let Some(kept) = &mut self.tickets[key as usize] {
            std::mem::swap(kept, ticket);
        }
        still_waits
    }

    fn insert(&mut self, list: usize, entry: T) -> Key {
        let key = if self.free == NIL {
            let key = self.nodes.len() as Key;
            self.nodes.push(Node { entry: None, previous: NIL, next: NIL, list: 0 });
            key
        } else {
            let key = self.free;
            self.free = self.nodes[key as usize].next;
            key
        };
        entry.placed(self.id, key);
        self.nodes[key as usize].entry = Some(entry);
        self.link(list, key);
        key
    }

    fn link(&mut self, list: usize, key: Key) {
        let last = self.lists[list].last;
        let node = &mut self.nodes[key as usize];
        node.previous = last;
        node.next = NIL;
        node.list = list as u8;
        if last == NIL {
            self.lists[list].first = key;
        } else {
            self.nodes[last as usize].next = key;
        }
        self.lists[list].last = key;
        self.lists[list].len += 1;
        if list < LANES && self.flows.is_some() {
            self.link_flow(list, key);
        }
    }

    /// Notes the flow of an entry that is in its lane already.
    ///
    /// Out of line, like all that only some queues need: the way of the others stays short.
    #[inline(never)]
    pub(super) fn link_flow(&mut self, lane: usize, key: Key) {
        if let (Some(flows), Some(entry)) = (&mut self.flows, &self.nodes[key as usize].entry) {
            let older = keys(&self.nodes, self.lists[lane].first).take_while(|older| *older != key);
            flows.link(lane, key, entry.flow(), older);
        }
    }

    fn unlink(&mut self, key: Key) {
        if self.flows.is_some() {
            self.unlink_flow(key);
        }
        let Node { previous, next, list, .. } = self.nodes[key as usize];
        let list = &mut self.lists[list as usize];
        list.len -= 1;
        if previous == NIL {
            list.first = next;
        }
        if next == NIL {
            list.last = previous;
        }
        if previous != NIL {
            self.nodes[previous as usize].next = next;
        }
        if next != NIL {
            self.nodes[next as usize].previous = previous;
        }
    }

    /// Forgets the flow of an entry that is about to be unlinked.
    #[inline(never)]
    fn unlink_flow(&mut self, key: Key) {
        let Node { list, entry, .. } = &self.nodes[key as usize];
        let list = *list as usize;
        if let (Some(flows), Some(entry)) = (&mut self.flows, entry)
            && list < LANES
        {
            flows.unlink(list, key, || entry.flow(), self.lists[list].len == 1);
        }
    }

    fn release(&mut self, key: Key) -> Option<T> {
        let node = &mut self.nodes[key as usize];
        node.next = self.free;
        self.free = key;
        node.entry.take()
    }
}

/// The keys of a list from `first` on.
pub(super) fn keys<T>(nodes: &[Node<T>], first: Key) -> impl Iterator<Item = Key> {
    let some = |key: Key| (key != NIL).then_some(key);
    std::iter::successors(some(first), move |key| some(nodes[*key as usize].next))
}
