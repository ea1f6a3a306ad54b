//! The graph over the vectors: DiskANN's algorithms over nodes that are ours.
//!
//! A graph is immutable to those who search it. A commit works on a copy, which shares all vectors and all lists of
//! edges that it does not change, so that what it has changed is seen by comparing pointers.

mod link;
mod nodes;
mod provider;
mod search;

pub(super) use link::Stopped;
pub(super) use nodes::{Nodes, Slot, Unlinked};
pub(super) use search::{Candidate, Graph, WORTH_A_GRAPH};
