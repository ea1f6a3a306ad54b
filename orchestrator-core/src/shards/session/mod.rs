//! What sessions keep on their home shard.
//!
//! | file | story |
//! |---|---|
//! | [`config`] | what users set |
//! | [`key`] | whose state it is |
//! | [`store`] | the states of one shard, and which of them goes when |
//! | [`states`] | lending a state to a closure, and forgetting idle ones in time |
//! | [`inside`] | which sessions have requests inside, so that these keep their state |

mod config;
mod inside;
mod key;
mod states;
mod store;

pub use config::SessionState;
pub(super) use inside::Inside;
pub(crate) use inside::Presence;
pub(crate) use key::SessionKey;
pub(crate) use states::States;
pub(crate) use store::InUse;
