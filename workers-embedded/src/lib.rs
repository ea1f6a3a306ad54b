//! Workers of prompt-orchestrator that need no model server.
//!
//! [`Extractive`] answers with sentences of the passages that retrieval found. It needs no download, no key and no
//! network, so a pipeline runs, and can be tested, before there is a model.

mod extractive;

pub use extractive::Extractive;
