//! What lies behind the lock of a queue.

use std::collections::VecDeque;
use std::task::Waker;

use super::codel::CoDel;
use super::order::Course;
use super::slab::{LANES, Slab};
use super::{Effects, Entry, NEVER, Pushed, Rules, Take, Turns};
use crate::stage::ShedPolicy;

/// Everything but the lock.
///
/// In the order of the fields: what every push and pop touches comes first, so that it shares lines of the cache.
#[repr(C)]
pub(super) struct Inner<T, W> {
    pub(super) pushed_ever: u64,
    pub(super) admitted_ever: u64,
    /// No entry expires earlier; may be lower than need be until the next [`Queue::expire`](super::Queue::expire).
    pub(super) bound: u64,
    /// The bound that the consumer was told last.
    armed: u64,
    depth: u32,
    pub(super) closed: bool,
    /// Whether the consumer wants to hear of new entries, or only of a lower bound and of the close.
    hungry: bool,
    /// Whether the entry handed out last went before its turn.
    rushed: bool,
    pub(super) slab: Slab<T, W>,
    consumer: Option<Waker>,
    max_wait: u64,
    aging: u64,
    codel: Option<CoDel>,
}

impl<T: Entry, W> Inner<T, W> {
    pub(super) fn new(id: u32, rules: Rules) -> Self {
        Self {
            pushed_ever: 0,
            admitted_ever: 0,
            bound: NEVER,
            armed: 0,
            depth: u32::try_from(rules.depth).unwrap_or(u32::MAX),
            closed: false,
            hungry: false,
            rushed: false,
            slab: Slab::new(id),
            consumer: None,
            max_wait: rules.max_wait,
            aging: rules.aging,
            codel: rules.codel.map(CoDel::new),
        }
    }

    /// How many entries are admitted.
    pub(super) fn admitted(&self) -> usize {
        self.slab.ready(LANES)
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.closed && self.slab.is_empty()
    }

    /// When an admitted entry expires.
    pub(super) fn end_of(&self, entry: &T) -> u64 {
        if self.max_wait == NEVER {
            return entry.deadline();
        }
        entry.deadline().min(entry.since().saturating_add(self.max_wait))
    }

    pub(super) fn insert(&mut self, entry: T, full: ShedPolicy, ticket: impl FnOnce(&T) -> W) -> Pushed<T> {
        self.pushed_ever += 1;
        if self.closed {
            return Pushed::Closed(entry);
        }
        if entry.is_dead() {
            return Pushed::Dead(entry);
        }
        if let Some(codel) = &mut self.codel
            && self.slab.is_empty()
        {
            codel.reset();
        }
        let lane = entry.lane();
        let mut victim = None;
        // Where there is room nobody waits for it: whoever waited has moved up.
        if self.admitted() >= self.depth as usize {
            match full {
                ShedPolicy::Backpressure => {
                    self.bound = self.bound.min(entry.deadline());
                    let ticket = ticket(&entry);
                    return Pushed::Waiting(self.slab.push_waiting(lane, entry, ticket));
                }
                ShedPolicy::RejectNew | ShedPolicy::CoDel(_) => return Pushed::Full(entry),
                ShedPolicy::DropOldest | ShedPolicy::Predictive => {
                    // A door that predicts has let in what is of the same class, and means to serve it.
                    let highest = if full == ShedPolicy::Predictive { lane + 1 } else { lane };
                    match self.slab.evict(highest) {
                        None => return Pushed::Full(entry),
                        evicted => victim = evicted,
                    }
                }
            }
        }
        self.bound = self.bound.min(self.end_of(&entry));
        self.admitted_ever += 1;
        entry.admitted();
        self.slab.push_admitted(lane, entry);
        victim.map_or(Pushed::Admitted, Pushed::Instead)
    }

    /// Moves entries to `out`, up to the limit; leaves those that come before them and are to be dropped in `effects`.
    pub(super) fn move_out(
        &mut self,
        take: Take,
        out: &mut VecDeque<T>,
        effects: &mut Effects<T, W>,
        turns: &mut Option<&mut dyn Turns<T>>,
    ) -> usize {
        let mut course = Course { lanes: take.lanes, aging: self.aging, now: take.now, rushed: self.rushed };
        // As long as the bound has not passed nothing has expired, and most queues need not look at entries.
        let may_drop = self.bound <= take.now || self.codel.is_some();
        let mut count = 0;
        while count < take.limit {
            let Some((entry, rushed)) = self.slab.pop(course, turns) else { break };
            if may_drop && let Some(dropped) = self.unserved(&entry, take.now, effects) {
                dropped.push(entry);
                continue;
            }
            course.rushed = rushed;
            if let Some(turns) = turns {
                turns.served(&entry);
            }
            out.push_back(entry);
            count += 1;
        }
        self.rushed = course.rushed;
        count
    }

    /// Where to leave an entry that is not to be served: it has expired, or is late.
    #[inline(never)]
    fn unserved<'a>(&mut self, entry: &T, now: u64, effects: &'a mut Effects<T, W>) -> Option<&'a mut Vec<T>> {
        if self.end_of(entry) <= now {
            return Some(&mut effects.expired);
        }
        let wait = now.saturating_sub(entry.since());
        let is_late = self.codel.as_mut().is_some_and(|codel| codel.drops(now, wait));
        is_late.then_some(&mut effects.late)
    }

    /// Moves up what waits, as far as there is room.
    ///
    /// Where the caller knows what time it is `now`, nothing that has expired stays: a deadline ends the wait for room, and
    /// what has only waited for too long is admitted and expires at once.
    pub(super) fn admit_waiting(&mut self, now: Option<u64>, effects: &mut Effects<T, W>) {
        while self.admitted() < self.depth as usize {
            let Some(first) = self.slab.first_waiting() else { return };
            if first.is_dead() {
                // Whoever gave it up has yet to come for it; it must not count as let in meanwhile.
                self.expel_first_waiting(effects);
            } else if now.is_some_and(|now| first.deadline() <= now) {
                let taken = self.slab.pop_waiting();
                effects.expired_waiting.extend(taken.map(|taken| {
                    effects.tickets.extend(taken.ticket);
                    taken.entry
                }));
            } else {
                self.admit_first_waiting(now, effects);
            }
        }
    }

    fn admit_first_waiting(&mut self, now: Option<u64>, effects: &mut Effects<T, W>) {
        let Some((key, ticket)) = self.slab.admit_first_waiting() else { return };
        self.admitted_ever += 1;
        effects.tickets.extend(ticket);
        let end = self.slab.get(key).map_or(NEVER, |entry| self.end_of(entry));
        if now.is_some_and(|now| end <= now) {
            effects.expired.extend(self.slab.take_admitted(key));
        } else {
            self.bound = self.bound.min(end);
        }
    }

    /// Unlinks what waits first; `false` where nothing waits.
    pub(super) fn expel_first_waiting(&mut self, effects: &mut Effects<T, W>) -> bool {
        let Some(taken) = self.slab.pop_waiting() else { return false };
        effects.tickets.extend(taken.ticket);
        effects.dead.push(taken.entry);
        true
    }

    /// Keeps the waker of a consumer that found nothing to take, and whether it is hungry.
    pub(super) fn keep_consumer(&mut self, waker: Option<(&Waker, bool)>) {
        let Some((waker, hungry)) = waker else { return };
        self.hungry = hungry;
        self.armed = self.bound;
        match &mut self.consumer {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Leaves the consumer's waker to be woken, beside one that was left before.
    pub(super) fn take_consumer(&mut self, wake: &mut Option<Waker>) {
        if let Some(consumer) = self.consumer.take() {
            // Whoever comes next sees by this, and the bound, that nobody is to be woken.
            (self.hungry, self.armed) = (false, 0);
            *wake = Some(consumer);
        }
    }

    /// Leaves the consumer's waker to be woken if it would want to know.
    pub(super) fn call_consumer(&mut self, wake: &mut Option<Waker>) {
        let has_news = self.hungry && self.admitted() > 0 || self.bound < self.armed;
        if has_news {
            self.take_consumer(wake);
        }
    }
}
