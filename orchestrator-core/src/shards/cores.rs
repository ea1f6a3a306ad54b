use std::num::NonZeroUsize;

use core_affinity::CoreId;

/// The cores that shards are pinned to, in the order of the shards.
#[derive(Debug)]
pub(super) struct Cores(Vec<CoreId>);

/// How many cores this process has: those that it may run on, and no more than its container's quota of time.
pub(super) fn available() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl Cores {
    /// Finds the cores that the calling thread may run on; none where the platform does not say.
    pub(super) fn of_this_thread() -> Self {
        Self(core_affinity::get_core_ids().unwrap_or_default())
    }

    /// The core of a shard; shared with others where there are fewer cores than shards.
    pub(super) fn of_shard(&self, shard: usize) -> Option<CoreId> {
        self.0.get(shard.checked_rem(self.0.len())?).copied()
    }

    /// Says, once for all shards, where they don't have a core each.
    pub(super) fn warn(&self, shards: usize, pinned: usize) {
        if pinned < shards {
            tracing::warn!(shards, pinned, "the platform does not pin threads to cores: shards may share one");
        } else if self.0.len() < shards {
            tracing::warn!(shards, cores = self.0.len(), "there are fewer cores than shards: some share one");
        }
    }
}

/// Pins the calling thread; tells whether the platform did it.
pub(super) fn pin(core: Option<CoreId>) -> bool {
    core.is_some_and(core_affinity::set_for_current)
}
