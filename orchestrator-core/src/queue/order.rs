//! Which admitted entry leaves next.

use super::slab::{Key, Slab, keys};
use super::{Entry, LANES, NEVER, Turns};

/// What decides, beside what lies in the queue.
#[derive(Clone, Copy)]
pub(super) struct Course {
    /// Only of the lanes before this one.
    pub(super) lanes: usize,
    /// How long an entry waits for each step below the highest class until it is overdue.
    pub(super) aging: u64,
    pub(super) now: u64,
    /// Whether the entry handed out last went before its turn.
    pub(super) rushed: bool,
}

/// An entry that may leave.
#[derive(Clone, Copy)]
struct Choice {
    key: Key,
    /// Whether it goes before its turn, since it is overdue.
    rushed: bool,
}

impl Choice {
    const fn by_turn(key: Key) -> Self {
        Self { key, rushed: false }
    }
}

impl<T: Entry, W> Slab<T, W> {
    /// Takes the entry that leaves next, and tells whether it goes before its turn.
    ///
    /// It is what `turns` picks of the highest class, but every second time what is overdue.
    #[inline]
    pub(super) fn pop(&mut self, course: Course, turns: &mut Option<&mut dyn Turns<T>>) -> Option<(T, bool)> {
        let lanes = course.lanes.min(LANES);
        let highest = self.lists[..lanes].iter().position(|list| list.len > 0)?;
        let by_age = course.aging == NEVER && self.flows.is_none();
        let Choice { key, rushed } = if by_age {
            Choice::by_turn(self.lists[highest].first)
        } else {
            self.choose(highest, lanes, course, turns)
        };
        self.take_admitted(key).map(|entry| (entry, rushed))
    }

    #[inline(never)]
    fn choose(&self, highest: usize, lanes: usize, course: Course, turns: &mut Option<&mut dyn Turns<T>>) -> Choice {
        let by_turn = self.first_by_turns(highest, turns);
        if course.aging == NEVER || course.rushed {
            return Choice::by_turn(by_turn);
        }
        let key = self.overdue(highest, lanes, course).unwrap_or(by_turn);
        Choice { key, rushed: key != by_turn }
    }

    fn first_by_turns(&self, lane: usize, turns: &mut Option<&mut dyn Turns<T>>) -> Key {
        let flows = self.flows.as_ref().and_then(|flows| flows.several(lane).map(|numbers| (flows, numbers)));
        match (flows, turns) {
            (Some((flows, numbers)), Some(turns)) => flows.first(lane, turns.next(numbers)),
            _ => self.lists[lane].first,
        }
    }

    /// The entry that has waited longest of those that are overdue; `highest` is the first lane that is not empty.
    fn overdue(&self, highest: usize, lanes: usize, course: Course) -> Option<Key> {
        let is_alone = self.lists[highest].len == self.admitted;
        if is_alone && self.flows.as_ref().is_none_or(|flows| flows.several(highest).is_none()) {
            // The oldest of all is the next one in any case.
            return None;
        }
        // Lists are in order of age, so the first of each is all that has to be looked at. That of an empty lane is none.
        let lower = (highest.max(1)..lanes).filter_map(|lane| {
            let since = self.get(self.lists[lane].first)?.since();
            let due = since.saturating_add(course.aging.saturating_mul(lane as u64));
            (due <= course.now).then_some((since, self.lists[lane].first))
        });
        lower.min_by_key(|(since, _)| *since).map(|(_, key)| key)
    }

    /// Begins to keep lists by flow, if it has not before; what is in already counts as having come just now, by age.
    pub(super) fn sort_by_flow(&mut self) {
        if self.flows.is_some() {
            return;
        }
        self.flows = Some(Box::default());
        for lane in 0..LANES {
            let all: Vec<_> = keys(&self.nodes, self.lists[lane].first).collect();
            all.into_iter().for_each(|key| self.link_flow(lane, key));
        }
    }
}
