//! Many workers as one.
//!
//! [`Pool`] is what users hold, `fleet` what its clones and its task share. `roster` says who belongs to it now; `seat` is what
//! is kept of one member. A call goes through `dispatch`, which asks `capability` who could take it, and is followed by `call`.
//! `embedder` asks members for vectors instead, each as `embeds` guards it. `health` asks the members how they are, `outlier`
//! judges them by how they do.

mod build;
mod call;
mod capability;
mod dispatch;
mod embedder;
mod embeds;
mod first_token;
mod fleet;
mod handle;
mod health;
mod member;
mod needs;
mod outlier;
mod roster;
mod seat;
mod stats;
mod waiting;

pub use build::{BuildError, PoolBuilder};
pub use embedder::PoolEmbedder;
pub use handle::Pool;
pub use member::Member;
pub use stats::{MemberState, MemberStats, PoolStats};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what stays whole whatever panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
