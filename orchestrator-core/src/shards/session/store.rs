use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::shards::SessionKey;
use crate::shards::session::{Inside, SessionState};

/// A state is lent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InUse;

/// For so long nobody is looked for again where all are busy and stay so: a state that was lent at the time may be back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
    all_busy: Option<AllBusy>,
}

/// No session could go.
struct AllBusy {
    seen: Instant,
    departures: u64,
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
        Self { limits, sessions: HashMap::new(), filed: BTreeMap::new(), stamps: 0, all_busy: None }
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
    ///
    /// To find that none may costs a look at each, so that is not done again at every use.
    pub(super) fn excess(&mut self, now: Instant, inside: &Inside) -> Option<Session> {
        if self.sessions.len() <= self.limits.most {
            return None;
        }
        // Before looking, so that whoever leaves meanwhile is looked for again.
        let departures = inside.departures();
        let still = |busy: &AllBusy| busy.departures == departures && now.duration_since(busy.seen) < LOOK_AGAIN;
        if self.all_busy.as_ref().is_some_and(still) {
            return None;
        }
        let taken = self.take_first(now, inside, |_| true);
        self.all_busy = taken.is_none().then_some(AllBusy { seen: now, departures });
        taken
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::request::RequestOptions;

    fn key(session: &str) -> SessionKey {
        SessionKey::of(&RequestOptions::new().session(session)).expect("it has one")
    }

    /// A use of a session's state from beginning to end.
    fn touch(store: &mut Store, session: &str, now: Instant) {
        let of = TypeId::of::<()>();
        store.lend(&key(session), of, now).expect("nobody else has it");
        store.give_back(&key(session), of, Box::new(()));
    }

    /// Each busy session that is looked at is given a stamp.
    fn looks(store: &mut Store, inside: &Inside, now: Instant) -> u64 {
        let before = store.stamps;
        assert!(store.excess(now, inside).is_none());
        store.stamps - before
    }

    #[test]
    fn where_all_are_busy_nobody_is_looked_at_until_one_leaves_or_time_has_passed() {
        let (inside, now) = (Arc::new(Inside::default()), Instant::now());
        let mut store = Store::new(SessionState::new().most(1));
        let mut present = Vec::new();
        for session in ["anna", "bela", "cora"] {
            present.push(inside.enter(key(session)));
            touch(&mut store, session, now);
        }
        assert_eq!(looks(&mut store, &inside, now), 3);
        assert_eq!(looks(&mut store, &inside, now), 0);
        assert_eq!(looks(&mut store, &inside, now + LOOK_AGAIN), 3);
        // Not the last request of its session.
        drop(inside.enter(key("anna")));
        assert_eq!(looks(&mut store, &inside, now + LOOK_AGAIN), 0);
        present.remove(1);
        assert!(store.excess(now + LOOK_AGAIN, &inside).is_some());
        assert!(!store.sessions.contains_key(&key("bela")));
    }
}
