//! The sessions themselves: what is dropped when, and exactly how many bytes are held.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::memory::{MemoryLimits, MemoryStats, SessionKey, Turn};

/// What a message takes beside its text.
const MESSAGE: usize = 64;
/// What a session takes beside its turns and its name.
const SESSION: usize = 256;
/// Idle sessions that each use of one forgets: more than it can add, so that they go without the task too.
const PER_USE: usize = 8;
/// When to look again for what never happens.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// All sessions, under one lock.
pub(super) struct State {
    limits: MemoryLimits,
    sessions: HashMap<Arc<SessionKey>, Session>,
    /// By last use, which is the order of idleness too.
    order: BTreeMap<u64, Arc<SessionKey>>,
    /// Numbers uses and turns.
    ticks: u64,
    /// Whether a task is there that forgets idle sessions.
    pub(super) swept: bool,
    pub(super) stats: MemoryStats,
}

struct Session {
    turns: VecDeque<Kept>,
    bytes: usize,
    used: u64,
    used_at: Instant,
    /// The number of the last turn of a summary that is on its way.
    condensing: Option<u64>,
    /// The number of the last turn that a summary was asked for in vain.
    failed: u64,
}

struct Kept {
    number: u64,
    turn: Turn,
    bytes: usize,
}

/// The oldest turns of a session, to be condensed.
pub(super) struct Oldest {
    pub(super) turns: Vec<Turn>,
    /// The number of the last of them.
    pub(super) last: u64,
}

impl State {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            sessions: HashMap::new(),
            order: BTreeMap::new(),
            ticks: 0,
            swept: false,
            stats: MemoryStats::default(),
        }
    }

    pub(super) fn turns(&mut self, key: &SessionKey, now: Instant) -> Vec<Turn> {
        if !self.touch(key, now) {
            return Vec::new();
        }
        self.sessions[key].turns.iter().map(|kept| kept.turn.clone()).collect()
    }

    pub(super) fn append(&mut self, key: &SessionKey, turn: Turn, now: Instant) {
        if !self.touch(key, now) {
            self.open(key, now);
        }
        self.ticks += 1;
        let kept = Kept { number: self.ticks, bytes: cost(&turn), turn };
        self.change(key, |session| {
            session.bytes += kept.bytes;
            session.turns.push_back(kept);
        });
        self.trim_session(key);
        self.trim_all();
    }

    /// Returns the older half of a session that holds more than three quarters of what it may, once for the same turns.
    pub(super) fn start_condensing(&mut self, key: &SessionKey) -> Option<Oldest> {
        let full = self.limits.session_bytes / 4 * 3;
        let session = self.sessions.get_mut(key)?;
        let untried = session.turns.front().is_some_and(|first| first.number > session.failed);
        if session.bytes <= full || session.condensing.is_some() || !untried {
            return None;
        }
        let mut oldest = Oldest { turns: Vec::new(), last: 0 };
        let mut left = session.bytes;
        // The last turn stays as it is, however long.
        for kept in session.turns.iter().take(session.turns.len() - 1) {
            if left <= full / 2 {
                break;
            }
            left -= kept.bytes;
            oldest.turns.push(kept.turn.clone());
            oldest.last = kept.number;
        }
        if oldest.turns.is_empty() {
            return None;
        }
        session.condensing = Some(oldest.last);
        Some(oldest)
    }

    /// Puts a summary in the place of the turns up to `last`, as far as they are still there.
    pub(super) fn condensed(&mut self, key: &SessionKey, last: u64, summary: Option<Turn>) {
        let asked_for = self.sessions.get_mut(key).and_then(|s| s.condensing.take_if(|asked| *asked == last));
        let Some(turn) = summary else {
            self.stats.summaries_failed += 1;
            if let Some(session) = asked_for.and_then(|_| self.sessions.get_mut(key)) {
                session.failed = last;
            }
            return;
        };
        // The session may have been forgotten meanwhile, and begun again.
        if asked_for.is_none() {
            return;
        }
        self.stats.summaries += 1;
        self.change(key, |session| {
            session.failed = 0;
            while session.turns.front().is_some_and(|k| k.number <= last) {
                let old = session.turns.pop_front().expect("there is one in front");
                session.bytes -= old.bytes;
            }
            let bytes = cost(&turn);
            session.bytes += bytes;
            // In the order of their numbers it stands where the last of them stood.
            session.turns.push_front(Kept { number: last, turn, bytes });
        });
        self.trim_session(key);
        self.trim_all();
    }

    /// Forgets up to `most` idle sessions; returns when to look for the next one, `None` where no session is left.
    pub(super) fn sweep(&mut self, now: Instant, most: usize) -> Option<Instant> {
        for _ in 0..most {
            let key = self.order.values().next()?.clone();
            let session = &self.sessions[&key];
            if !self.is_idle(session, now) {
                // Further off than the clock reaches: some day.
                return Some(session.used_at.checked_add(self.limits.idle).unwrap_or(now + FAR));
            }
            self.forget(&key);
            self.stats.sessions_expired += 1;
        }
        Some(now)
    }

    pub(super) fn forget(&mut self, key: &SessionKey) -> usize {
        let Some(session) = self.sessions.remove(key) else { return 0 };
        self.order.remove(&session.used);
        self.stats.sessions -= 1;
        self.stats.turns -= session.turns.len();
        self.stats.bytes -= session.bytes + name_cost(key);
        session.turns.len()
    }

    fn open(&mut self, key: &SessionKey, now: Instant) {
        let key = Arc::new(key.clone());
        self.ticks += 1;
        let session =
            Session { turns: VecDeque::new(), bytes: 0, used: self.ticks, used_at: now, condensing: None, failed: 0 };
        self.stats.sessions += 1;
        self.stats.bytes += name_cost(&key);
        self.order.insert(self.ticks, key.clone());
        self.sessions.insert(key, session);
    }

    /// Notes that a session is used; `false` where there is none, or none any more.
    fn touch(&mut self, key: &SessionKey, now: Instant) -> bool {
        self.sweep(now, PER_USE);
        if self.sessions.get(key).is_some_and(|s| self.is_idle(s, now)) {
            self.forget(key);
            self.stats.sessions_expired += 1;
        }
        let Some(session) = self.sessions.get_mut(key) else { return false };
        self.ticks += 1;
        let key = self.order.remove(&session.used).expect("every session is in order");
        session.used = self.ticks;
        session.used_at = now;
        self.order.insert(self.ticks, key);
        true
    }

    fn is_idle(&self, session: &Session, now: Instant) -> bool {
        now.duration_since(session.used_at) >= self.limits.idle
    }

    /// Changes a session and keeps the books.
    fn change(&mut self, key: &SessionKey, change: impl FnOnce(&mut Session)) {
        let session = self.sessions.get_mut(key).expect("the caller has seen it");
        let (turns, bytes) = (session.turns.len(), session.bytes);
        change(session);
        self.stats.turns = self.stats.turns - turns + session.turns.len();
        self.stats.bytes = self.stats.bytes - bytes + session.bytes;
    }

    fn trim_session(&mut self, key: &SessionKey) {
        let most = self.limits.session_bytes;
        let mut dropped = 0;
        self.change(key, |session| {
            while session.bytes > most {
                let old = session.turns.pop_front().expect("no turns have no bytes");
                session.bytes -= old.bytes;
                dropped += 1;
            }
        });
        self.stats.turns_dropped += dropped;
        // A turn too long to be kept leaves nothing behind.
        if self.sessions[key].turns.is_empty() {
            self.forget(key);
        }
    }

    fn trim_all(&mut self) {
        while self.stats.bytes > self.limits.total_bytes {
            let key = self.order.values().next().expect("no sessions have no bytes").clone();
            self.stats.turns_dropped += self.forget(&key) as u64;
            self.stats.sessions_evicted += 1;
        }
    }
}

fn cost(turn: &Turn) -> usize {
    turn.messages().iter().map(|message| MESSAGE + message.bytes()).sum()
}

fn name_cost(key: &SessionKey) -> usize {
    SESSION + key.session().len() + key.tenant().map_or(0, str::len)
}

#[cfg(test)]
mod tests;
