use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::runtime::cell::lock;
use crate::shards::SessionKey;

/// How many requests of which session are inside a shard, from whatever thread they came.
///
/// Only sessions with requests inside stand here, so it is as large as the pipeline's queues let it be.
#[derive(Debug, Default)]
pub(in crate::shards) struct Inside {
    sessions: Mutex<HashMap<SessionKey, usize>>,
    /// How many times a session was left without a request inside.
    departures: AtomicU64,
}

/// One request that is inside, or on its way in, until this is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    inside: Arc<Inside>,
    session: SessionKey,
}

impl Inside {
    /// Counts a request of `session`.
    pub(in crate::shards) fn enter(self: &Arc<Self>, session: SessionKey) -> Presence {
        *lock(&self.sessions).entry(session.clone()).or_default() += 1;
        Presence { inside: self.clone(), session }
    }

    /// Whether any request of `session` is inside.
    pub(super) fn has(&self, session: &SessionKey) -> bool {
        lock(&self.sessions).contains_key(session)
    }

    /// How many times a session was left without a request inside. While this stays, whoever was inside still is.
    pub(super) fn departures(&self) -> u64 {
        self.departures.load(Ordering::Acquire)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside.sessions);
        let Some(requests) = inside.get_mut(&self.session) else { return };
        *requests -= 1;
        if *requests == 0 {
            inside.remove(&self.session);
            // After that, so that whoever sees the new number finds the session gone.
            self.inside.departures.fetch_add(1, Ordering::Release);
        }
    }
}
