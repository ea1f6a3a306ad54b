use std::sync::Arc;

use super::seen::Seen;
use super::worth::Worth;

/// A conversation; those of different tenants are different ones, whatever their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) name: Arc<str>,
}

/// What is known of one slot.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// Whose tokens it keeps.
    owner: Option<Session>,
    /// Requests that were placed here and have not ended; more than one only where callers name slots themselves.
    busy: usize,
    /// When it was last taken; a later time is a larger number.
    taken: u64,
    /// The owner's last answer came to its end here, and nobody can have been here since.
    kept: bool,
    /// The prompt that was here last.
    seen: Seen,
    /// The last answer did not come to its end: the server may not have noticed yet.
    abandoned: bool,
    /// A request may be here of which only the server knows where it is.
    clouded: bool,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` where the server chooses.
    slot: Option<usize>,
    /// Its session has left its tokens there.
    returns: bool,
    /// The prompt begins with the one that was there last.
    goes_on: bool,
    /// Of which table it is.
    epoch: u64,
}

impl Place {
    pub(super) const fn slot(&self) -> Option<usize> {
        self.slot
    }
}

/// How a request left its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its answer did not come to its end.
    Abandoned,
    /// With a whole answer, and how many tokens of its prompt the server had already, where it says so.
    Whole { cached: Option<u64> },
}

/// Who is where, and who owns what. Knows no locks and no server.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Entry>,
    /// Requests of which only the server knows where they are. They are in clouded slots, or wait there for one.
    unplaced: usize,
    /// Requests left to the server though there was room, since one was placed in a clouded slot.
    strays: usize,
    worth: Worth,
    clock: u64,
    /// Counts the tables that there were before this one.
    epoch: u64,
}

impl Table {
    pub(super) fn new(slots: usize) -> Self {
        let slots = vec![Entry::default(); slots];
        Self { slots, unplaced: 0, strays: 0, worth: Worth::default(), clock: 0, epoch: 0 }
    }

    /// Starts again where the server was started again with another number of slots; requests placed before are forgotten.
    pub(super) fn resize(&mut self, slots: usize) {
        if slots != self.slots.len() {
            *self = Self { epoch: self.epoch + 1, ..Self::new(slots) };
        }
    }

    /// Finds a place for a prompt; it is taken until [`leave`](Self::leave).
    pub(super) fn place(&mut self, session: Option<&Session>, prompt: &[u8]) -> Place {
        let pays = self.worth.try_it(self.slots.len());
        let slot = if pays { self.choose(session) } else { None };
        match slot {
            Some(slot) => self.take(slot, session, prompt),
            None => self.unplaced(),
        }
    }

    /// Takes a slot that the caller has named; the server chooses where there is none of that number.
    pub(super) fn named(&mut self, slot: usize, session: Option<&Session>, prompt: &[u8]) -> Place {
        if slot < self.slots.len() { self.take(slot, session, prompt) } else { self.unplaced() }
    }

    /// Takes a request that goes where the server wants: to any slot that is idle now, or that is so first.
    pub(super) fn unplaced(&mut self) -> Place {
        self.unplaced += 1;
        for entry in self.slots.iter_mut().filter(|entry| entry.busy == 0) {
            (entry.clouded, entry.kept) = (true, false);
        }
        Place { slot: None, returns: false, goes_on: false, epoch: self.epoch }
    }

    /// Frees a place.
    pub(super) fn leave(&mut self, place: &Place, ending: Ending) {
        if place.epoch != self.epoch {
            return;
        }
        match place.slot {
            Some(slot) => self.leave_slot(slot, place, ending),
            None => self.leave_nowhere(),
        }
    }

    fn leave_nowhere(&mut self) {
        self.unplaced -= 1;
        if self.unplaced == 0 {
            self.strays = 0;
            self.slots.iter_mut().for_each(|entry| entry.clouded = false);
        }
    }

    fn leave_slot(&mut self, slot: usize, place: &Place, ending: Ending) {
        let entry = &mut self.slots[slot];
        entry.busy -= 1;
        entry.abandoned = ending == Ending::Abandoned;
        // Who was answered was alone there.
        entry.clouded &= entry.abandoned;
        // The slots that those without a place can be in are too few: one may have waited for this one.
        let waits = self.unplaced > self.slots.iter().filter(|entry| entry.clouded && entry.busy == 0).count();
        let entry = &mut self.slots[slot];
        entry.clouded |= waits;
        let Ending::Whole { cached } = ending else { return };
        entry.kept = cached.is_some() && entry.owner.is_some() && entry.busy == 0 && !entry.clouded;
        if let Some(cached) = cached.filter(|cached| place.returns && (place.goes_on || *cached > 0)) {
            self.worth.came_back(cached > 0, self.slots.len());
        }
    }

    fn take(&mut self, slot: usize, session: Option<&Session>, prompt: &[u8]) -> Place {
        self.clock += 1;
        let at_home = session.is_none() || self.home(session).is_none_or(|home| home == slot);
        let entry = &mut self.slots[slot];
        let returns = entry.kept && entry.owner.as_ref() == session;
        let goes_on = returns && entry.seen.begins(prompt);
        // A guest has its own slot elsewhere, and leaves this one to nobody.
        entry.owner = session.filter(|_| at_home).cloned();
        entry.seen = Seen::new(if entry.owner.is_some() { prompt } else { &[] });
        (entry.taken, entry.kept) = (self.clock, false);
        entry.busy += 1;
        Place { slot: Some(slot), returns, goes_on, epoch: self.epoch }
    }

    /// Chooses a slot where nobody is. Where somebody may be in each of them, and there is room, it is left to the server; but
    /// once in a while one is taken all the same, as who is answered there makes sure of it.
    fn choose(&mut self, session: Option<&Session>) -> Option<usize> {
        let chosen = self.choose_of(session, |entry| entry.busy == 0 && !entry.clouded);
        let busy: usize = self.slots.iter().map(|entry| entry.busy).sum();
        if chosen.is_some() || busy + self.unplaced >= self.slots.len() {
            return chosen;
        }
        self.strays += 1;
        if self.strays <= self.slots.len() {
            return None;
        }
        self.strays = 0;
        self.choose_of(session, |entry| entry.busy == 0)
    }

    fn choose_of(&self, session: Option<&Session>, is_free: impl Fn(&Entry) -> bool) -> Option<usize> {
        let home = self.home(session);
        if let Some(home) = home.filter(|home| is_free(&self.slots[*home])) {
            return Some(home);
        }
        // Who has no home to make takes the slot that was used last: the others' tokens are more likely to be other ones.
        let guest = session.is_none() || home.is_some();
        let idle = || self.slots.iter().enumerate().filter(|(_, entry)| is_free(entry));
        let unowned = idle().filter(|(_, entry)| entry.owner.is_none());
        let chosen = if guest {
            unowned.max_by_key(|(_, entry)| (!entry.abandoned, entry.taken))
        } else {
            unowned.min_by_key(|(_, entry)| (entry.abandoned, entry.taken))
        };
        let chosen = chosen.or_else(|| idle().min_by_key(|(_, entry)| (entry.abandoned, entry.taken)));
        chosen.map(|(slot, _)| slot)
    }

    fn home(&self, session: Option<&Session>) -> Option<usize> {
        let session = session?;
        self.slots.iter().position(|entry| entry.owner.as_ref() == Some(session))
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn owners(&self) -> Vec<Option<Session>> {
        self.slots.iter().map(|entry| entry.owner.clone()).collect()
    }

    pub(super) fn is_clouded(&self, slot: usize) -> bool {
        self.slots[slot].clouded
    }
}
