use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::shards::SessionKey;
use crate::shards::session::{Inside, SessionState};

/// A state is lent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InUse;

/// The moment of a use; numbered, so that no two are the same.
type Stamp = (Instant, u64);

/// The states of one shard's sessions.
///
/// Runs no code of users': it takes boxes and gives boxes back, to be dropped outside.
pub(super) struct Store {
    limits: SessionState,
    sessions: HashMap<SessionKey, Session>,
    /// The sessions by their last use as it was when they were filed; a later use files them anew only when they come first
    /// here, so that a use costs no more than a stamp.
    filed: BTreeMap<Stamp, SessionKey>,
    stamps: u64,
}

/// What one session keeps.
pub(super) struct Session {
    states: SmallVec<[Slot; 1]>,
    used: Stamp,
    filed: Stamp,
}

struct Slot {
    of: TypeId,
    /// `None` while it is lent.
    state: Option<Box<dyn Any>>,
}

impl Session {
    fn is_lent(&self) -> bool {
        self.states.iter().any(|slot| slot.state.is_none())
    }
}

impl Store {
    pub(super) fn new(limits: SessionState) -> Self {
        Self { limits, sessions: HashMap::new(), filed: BTreeMap::new(), stamps: 0 }
    }

    /// Whether no session keeps anything.
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Lends the state of type `of`; `None` where there is none yet, and one is to be [given back](Self::give_back).
    pub(super) fn lend(&mut self, key: &SessionKey, of: TypeId, now: Instant) -> Result<Option<Box<dyn Any>>, InUse> {
        let used = self.stamp(now);
        let filed = &mut self.filed;
        let session = self.sessions.entry(key.clone()).or_insert_with(|| {
            filed.insert(used, key.clone());
            Session { states: SmallVec::new(), used, filed: used }
        });
        session.used = used;
        match session.states.iter_mut().find(|slot| slot.of == of) {
            Some(slot) => slot.state.take().map(Some).ok_or(InUse),
            None => {
                session.states.push(Slot { of, state: None });
                Ok(None)
            }
        }
    }

    /// Takes back what was lent.
    pub(super) fn give_back(&mut self, key: &SessionKey, of: TypeId, state: Box<dyn Any>) {
        let session = self.sessions.get_mut(key).expect("a session stays as long as a state of it is lent");
        let slot = session.states.iter_mut().find(|slot| slot.of == of).expect("a slot stays as long as it is lent");
        slot.state = Some(state);
    }

    /// Gives up on what was lent: the next use begins anew.
    pub(super) fn forget(&mut self, key: &SessionKey, of: TypeId) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.states.retain(|slot| slot.of != of);
        if session.states.is_empty() {
            self.filed.remove(&session.filed);
            self.sessions.remove(key);
        }
    }

    /// Takes out a session that is one too many: the one used least recently of those that may go.
    pub(super) fn excess(&mut self, now: Instant, inside: &Inside) -> Option<Session> {
        if self.sessions.len() <= self.limits.most {
            return None;
        }
        self.take_first(now, inside, |_| true)
    }

    /// Takes out a session that has not been used for long enough.
    pub(super) fn expired(&mut self, now: Instant, inside: &Inside) -> Option<Session> {
        let idle = self.limits.idle;
        self.take_first(now, inside, |used| used.checked_add(idle).is_some_and(|due| due <= now))
    }

    /// When to look for expired ones again.
    pub(super) fn due(&self) -> Option<Instant> {
        let ((used, _), _) = self.filed.first_key_value()?;
        used.checked_add(self.limits.idle)
    }

    /// Takes out the session that was used least recently, if that is so long ago that it `may_go`.
    ///
    /// What is lent, or has a request inside, counts as used now and is looked at once.
    fn take_first(&mut self, now: Instant, inside: &Inside, may_go: impl Fn(Instant) -> bool) -> Option<Session> {
        let looked_at = self.stamps;
        while let Some(first) = self.filed.first_entry() {
            let (used, number) = *first.key();
            if number > looked_at || !may_go(used) {
                return None;
            }
            let key = first.remove();
            let busy = inside.has(&key);
            let session = self.sessions.get_mut(&key).expect("what is filed is kept");
            if session.used == session.filed && !busy && !session.is_lent() {
                return self.sessions.remove(&key);
            }
            if busy || session.is_lent() {
                self.stamps += 1;
                session.used = (now, self.stamps);
            }
            session.filed = session.used;
            self.filed.insert(session.filed, key);
        }
        None
    }

    /// Takes out whichever session comes first.
    pub(super) fn take_any(&mut self) -> Option<Session> {
        let (_, key) = self.filed.pop_first()?;
        self.sessions.remove(&key)
    }

    fn stamp(&mut self, now: Instant) -> Stamp {
        self.stamps += 1;
        (now, self.stamps)
    }
}
