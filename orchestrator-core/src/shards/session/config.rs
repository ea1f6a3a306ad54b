use std::time::Duration;

use crate::error::Fault;

/// How long sessions keep state on their home shard, and how many do.
///
/// Given to [`ShardsBuilder::session_state`](crate::shards::ShardsBuilder::session_state); stages use the state with
/// [`Context::session_state`](crate::context::Context::session_state). Both limits concern sessions without a request
/// inside: as long as one is, from its submission to its end, its session's state stays, whatever the limits say.
#[derive(Debug, Clone)]
#[must_use]
pub struct SessionState {
    pub(super) idle: Duration,
    pub(super) most: usize,
}

impl Default for SessionState {
    fn default() -> Self {
        Self { idle: Duration::from_secs(600), most: 10_000 }
    }
}

impl SessionState {
    /// Keeps the state of at most 10,000 sessions on each shard, for ten minutes beyond its last use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a session's state is kept beyond its last use; above zero.
    pub const fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// Sets how many sessions may keep state on each shard; at least 1.
    ///
    /// Above that the one goes that was used least recently. Only where every session has a request inside there are more.
    pub const fn most(mut self, sessions: usize) -> Self {
        self.most = sessions;
        self
    }

    /// Says what is wrong with it.
    pub(in crate::shards) fn check(&self, faults: &mut Vec<Fault>) {
        if self.idle.is_zero() {
            faults.push(Fault::new(None, "session_state.idle", "must be above zero"));
        }
        if self.most == 0 {
            faults.push(Fault::new(None, "session_state.most", "must be at least 1"));
        }
    }
}
