use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::runtime::shared::Shared;
use crate::shards::States;

/// What a shard's thread is to those who run on it.
pub(super) struct Here {
    /// The number of the [`Shards`](crate::shards::Shards).
    pub(super) set: u64,
    pub(super) shard: usize,
    /// What the requests of its pipeline belong to.
    pub(super) pipeline: Arc<Shared>,
    /// Where sessions keep state, if they do.
    pub(super) states: Option<Rc<States>>,
}

thread_local! {
    /// Set on the threads of shards only.
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// Makes the calling thread that of a shard, or takes that back.
pub(super) fn set(here: Option<Here>) {
    HERE.with(|kept| {
        let replaced = kept.replace(here);
        // What it held is dropped when nothing is borrowed any more.
        drop(replaced);
    });
}

/// The shard of set number `set` that the calling thread is, if any.
pub(super) fn shard(set: u64) -> Option<usize> {
    read(|here| (here.set == set).then_some(here.shard))
}

/// The session state of the shard that the calling thread is, for a request of that shard's own `pipeline`.
pub(crate) fn states(pipeline: &Arc<Shared>) -> Option<Rc<States>> {
    read(|here| here.states.clone().filter(|_| Arc::ptr_eq(&here.pipeline, pipeline)))
}

/// `None` also while the thread's own values are being dropped.
fn read<T>(look: impl FnOnce(&Here) -> Option<T>) -> Option<T> {
    HERE.try_with(|here| here.borrow().as_ref().and_then(look)).ok().flatten()
}
