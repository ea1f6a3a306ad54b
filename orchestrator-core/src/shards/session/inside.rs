use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::runtime::cell::lock;
use crate::shards::SessionKey;

/// How many requests of which session are inside a shard, from whatever thread they came.
///
/// Only sessions with requests inside stand here, so it is as large as the pipeline's queues let it be.
#[derive(Debug, Default)]
pub(in crate::shards) struct Inside(Mutex<HashMap<SessionKey, usize>>);

/// One request that is inside, or on its way in, until this is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    inside: Arc<Inside>,
    session: SessionKey,
}

impl Inside {
    /// Counts a request of `session`.
    pub(in crate::shards) fn enter(self: &Arc<Self>, session: SessionKey) -> Presence {
        *lock(&self.0).entry(session.clone()).or_default() += 1;
        Presence { inside: self.clone(), session }
    }

    /// Whether any request of `session` is inside.
    pub(super) fn has(&self, session: &SessionKey) -> bool {
        lock(&self.0).contains_key(session)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside.0);
        let Some(requests) = inside.get_mut(&self.session) else { return };
        *requests -= 1;
        if *requests == 0 {
            inside.remove(&self.session);
        }
    }
}
