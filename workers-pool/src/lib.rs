//! Many workers as one: a pool that routes, retries, breaks circuits and fails over, for `ModelWorker`s of any kind.

mod consequence;
pub mod policy;
