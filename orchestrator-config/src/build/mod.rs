//! From a configuration to a service: what is there once (workers, pools, indexes), and what there is of for every core
//! (pipelines).

mod chain;
mod connect;
mod embed;
mod guard;
mod lazy;
mod naming;
mod offered;
mod parts;
mod place;
mod plans;
mod pools;
mod rate;
mod retrieval;
mod route;
mod stages;
mod workers;

pub(crate) use chain::{Flow, dry_run};
pub use connect::ConnectError;
pub use parts::Parts;
pub(crate) use route::find as find_model;
pub(crate) use workers::faults as worker_faults;
