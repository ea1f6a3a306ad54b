use std::sync::Arc;

/// How many returns that find something make up for one that does not.
const HITS_PER_MISS: usize = 8;

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
    /// A request of ours was placed here and has not ended.
    busy: bool,
    /// When it was last taken; a later time is a larger number.
    taken: u64,
    /// The owner's last answer came to its end here, and nobody can have been here since.
    kept: bool,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` where the server chooses.
    slot: Option<usize>,
    /// Its session has left its tokens there.
    returns: bool,
    /// Of which table it is.
    epoch: u64,
}

impl Place {
    pub(super) const fn slot(&self) -> Option<usize> {
        self.slot
    }
}

/// Who is where, and who owns what. Knows no locks and no server.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Entry>,
    /// Requests of which only the server knows where they are.
    unplaced: usize,
    /// How often a session came back and found what it had left, and how often it found nothing.
    hits: usize,
    misses: usize,
    clock: u64,
    /// Counts the tables that there were before this one.
    epoch: u64,
}

impl Table {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots: vec![Entry::default(); slots], unplaced: 0, hits: 0, misses: 0, clock: 0, epoch: 0 }
    }

    /// Starts again where the server was started again with another number of slots; requests placed before are forgotten.
    pub(super) fn resize(&mut self, slots: usize) {
        if slots != self.slots.len() {
            *self = Self { epoch: self.epoch + 1, ..Self::new(slots) };
        }
    }

    /// Finds a place; it is taken until [`leave`](Self::leave).
    pub(super) fn place(&mut self, session: Option<&Session>) -> Place {
        let slot = if self.pays() && self.unplaced == 0 { self.choose(session) } else { None };
        let Some(slot) = slot else { return self.unplaced() };
        self.clock += 1;
        let at_home = session.is_none() || self.home(session).is_none_or(|home| home == slot);
        let entry = &mut self.slots[slot];
        let returns = entry.kept && entry.owner.as_ref() == session;
        // A guest has its own slot elsewhere, and leaves this one to nobody.
        let owner = session.filter(|_| at_home).cloned();
        *entry = Entry { owner, busy: true, taken: self.clock, kept: false };
        Place { slot: Some(slot), returns, epoch: self.epoch }
    }

    /// Takes a request that goes where the server wants.
    pub(super) fn unplaced(&mut self) -> Place {
        self.unplaced += 1;
        self.slots.iter_mut().for_each(|entry| entry.kept = false);
        Place { slot: None, returns: false, epoch: self.epoch }
    }

    /// Frees a place. `cached` is what the server said it had of the prompt; `None` where the answer did not come to its end,
    /// or it did not say.
    pub(super) fn leave(&mut self, place: &Place, cached: Option<u64>) {
        if place.epoch != self.epoch {
            return;
        }
        let Some(slot) = place.slot else {
            self.unplaced -= 1;
            return;
        };
        let certain = self.unplaced == 0;
        let entry = &mut self.slots[slot];
        entry.busy = false;
        entry.kept = certain && cached.is_some() && entry.owner.is_some();
        match cached.filter(|_| place.returns) {
            Some(0) => self.misses += 1,
            Some(_) => self.hits += 1,
            None => {}
        }
    }

    /// Whether sessions find what they have left. A restart of the server, after which each finds nothing once, is no reason to
    /// doubt it.
    const fn pays(&self) -> bool {
        self.misses <= self.slots.len() + self.hits / HITS_PER_MISS
    }

    fn choose(&self, session: Option<&Session>) -> Option<usize> {
        let home = self.home(session);
        if let Some(home) = home.filter(|home| !self.slots[*home].busy) {
            return Some(home);
        }
        // Who has no home to make takes the slot that was used last: the others' tokens are more likely to be other ones.
        let guest = session.is_none() || home.is_some();
        let idle = || self.slots.iter().enumerate().filter(|(_, entry)| !entry.busy);
        let unowned = idle().filter(|(_, entry)| entry.owner.is_none());
        let chosen = if guest {
            unowned.max_by_key(|(_, entry)| entry.taken)
        } else {
            unowned.min_by_key(|(_, entry)| entry.taken)
        };
        let chosen = chosen.or_else(|| idle().min_by_key(|(_, entry)| entry.taken));
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
}
