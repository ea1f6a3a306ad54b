use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use diskann::ANNError;
use diskann::provider::DefaultContext;
use futures_util::FutureExt;

use super::nodes::Slot;
use super::provider::Ours;
use super::search::Graph;

/// Nodes that are linked one after the other before threads link side by side: in a graph of a handful of nodes they
/// would not see each other.
const ALONE: usize = 256;

/// Why linking ended early.
pub(in crate::index::vector) enum Stopped {
    /// Nobody waits for it any more.
    Unwanted,
    Failed(ANNError),
}

impl From<ANNError> for Stopped {
    fn from(error: ANNError) -> Self {
        Self::Failed(error)
    }
}

impl Graph {
    /// Links nodes that have no edges yet.
    pub(in crate::index::vector) fn link(
        &self,
        slots: &[Slot],
        wanted: impl Fn() -> bool + Sync,
    ) -> Result<(), Stopped> {
        let link = |slot: Slot| {
            let vector = self.nodes().vector(slot as usize);
            self.0
                .insert(&Ours, &DefaultContext, &slot, &**vector)
                .now_or_never()
                .expect("nothing in linking nodes in memory waits")
        };
        let (alone, together) = slots.split_at(ALONE.min(slots.len()));
        each(alone, NonZeroUsize::MIN, &wanted, &link)?;
        each(together, threads(), &wanted, &link)
    }

    /// Leads all edges past the waypoints, to where those lead.
    pub(in crate::index::vector) fn bypass(&self, wanted: impl Fn() -> bool + Sync) -> Result<(), Stopped> {
        let bypass = |slot: Slot| {
            self.0
                .consolidate_vector(&Ours, &DefaultContext, slot)
                .now_or_never()
                .expect("nothing in linking nodes in memory waits")
                .map(drop)
        };
        let live: Vec<Slot> = self.nodes().live_slots().collect();
        each(&live, threads(), &wanted, &bypass)
    }
}

fn threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does something for each slot, on threads of its own that end with it.
///
/// Not on rayon's: whatever is offloaded there would wait until the last slot is done.
fn each(
    slots: &[Slot],
    threads: NonZeroUsize,
    wanted: &(impl Fn() -> bool + Sync),
    work: &(impl Fn(Slot) -> Result<(), ANNError> + Sync),
) -> Result<(), Stopped> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !wanted() {
                return Err(Stopped::Unwanted);
            }
            work(*slot)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get().min(slots.len())).map(|_| scope.spawn(run)).collect();
        let mine = run();
        others.into_iter().try_for_each(|other| match other.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })?;
        mine
    })
}
