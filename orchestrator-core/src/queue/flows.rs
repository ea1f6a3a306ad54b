//! The entries of a lane by flow, so that tenants can take turns.

use super::LANES;
use super::slab::{Key, NIL};

/// A list of entries per lane and flow, in order of arrival, beside the lists of a [`Slab`](super::slab::Slab).
///
/// While all entries of a lane are of one flow nothing is linked: the lane's own list says it all. When a second flow
/// comes, the lane is linked, each entry once, and stays so until it is empty. A flow without entries is forgotten, so
/// there are never more than entries.
///
/// An entry in the midst of its flow is unlinked in constant time. For any other, and for a new one, its flow is searched
/// for by number among those in the lane, which is less than what it takes to decide whose turn it is.
#[derive(Default)]
pub(super) struct Flows {
    lanes: [Lane; LANES],
    /// By key; those of a lane that is not linked mean nothing.
    links: Vec<Link>,
}

#[derive(Default)]
struct Lane {
    /// The flows that are present, in the order in which they came.
    numbers: Vec<u32>,
    /// The list of each flow; empty where the lane is not linked.
    ends: Vec<Ends>,
    linked: bool,
}

#[derive(Clone, Copy)]
struct Ends {
    first: Key,
    last: Key,
}

#[derive(Clone, Copy)]
struct Link {
    previous: Key,
    next: Key,
}

impl Flows {
    /// The flows of a lane, where there is more than one.
    pub(super) fn several(&self, lane: usize) -> Option<&[u32]> {
        let numbers = &self.lanes[lane].numbers;
        (numbers.len() > 1).then_some(numbers)
    }

    /// The oldest entry of a flow, by its index among [`several`](Self::several).
    pub(super) fn first(&self, lane: usize, index: usize) -> Key {
        self.lanes[lane].ends[index].first
    }

    /// Notes an entry at the end of a lane, of which `older` are the others by age.
    pub(super) fn link(&mut self, lane: usize, key: Key, flow: u32, older: impl Iterator<Item = Key>) {
        let Lane { numbers, linked, .. } = &mut self.lanes[lane];
        if !*linked {
            match numbers.first() {
                None => return numbers.push(flow),
                Some(only) if *only == flow => return,
                Some(only) => {
                    let only = *only;
                    numbers.clear();
                    *linked = true;
                    older.for_each(|key| self.append(lane, key, only));
                }
            }
        }
        self.append(lane, key, flow);
    }

    fn append(&mut self, lane: usize, key: Key, flow: u32) {
        let Lane { numbers, ends, .. } = &mut self.lanes[lane];
        let previous = match numbers.iter().position(|number| *number == flow) {
            Some(index) => std::mem::replace(&mut ends[index].last, key),
            None => {
                numbers.push(flow);
                ends.push(Ends { first: key, last: key });
                NIL
            }
        };
        self.set(key, Link { previous, next: NIL });
        if previous != NIL {
            self.links[previous as usize].next = key;
        }
    }

    fn set(&mut self, key: Key, link: Link) {
        if self.links.len() <= key as usize {
            self.links.resize(key as usize + 1, Link { previous: NIL, next: NIL });
        }
        self.links[key as usize] = link;
    }

    /// Forgets an entry; `emptied` tells that it was the last one of its lane. Its flow is looked at only if need be.
    pub(super) fn unlink(&mut self, lane: usize, key: Key, flow: impl FnOnce() -> u32, emptied: bool) {
        let lane = &mut self.lanes[lane];
        if emptied {
            lane.clear();
        } else if lane.linked {
            let Link { previous, next } = self.links[key as usize];
            if previous != NIL {
                self.links[previous as usize].next = next;
            }
            if next != NIL {
                self.links[next as usize].previous = previous;
            }
            if previous == NIL || next == NIL {
                lane.cut(flow(), previous, next);
            }
        }
    }
}

impl Lane {
    fn clear(&mut self) {
        self.numbers.clear();
        self.ends.clear();
        self.linked = false;
    }

    /// Takes the first or the last entry, or the only one, from the list of a flow; its neighbours were these.
    fn cut(&mut self, flow: u32, previous: Key, next: Key) {
        let Some(index) = self.numbers.iter().position(|number| *number == flow) else { return };
        if previous == NIL {
            self.ends[index].first = next;
        }
        if next == NIL {
            self.ends[index].last = previous;
        }
        if previous == NIL && next == NIL {
            self.numbers.remove(index);
            self.ends.remove(index);
        }
    }
}
