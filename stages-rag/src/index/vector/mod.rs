//! The index over vectors: what it keeps, how it changes and how it is searched.
//!
//! | file | holds |
//! |---|---|
//! | `embed` | what is asked of an embedder, and what is not taken from it |
//! | `changes`, `draft` | what gathers until a commit, and what the commit makes of it |
//! | `snapshot` | what one commit left, and a search in it |
//! | `graph` | vectors and the edges between them |
//! | `store`, `rows` | the tables in which all of it lies |

mod changes;
mod draft;
mod embed;
mod fault;
mod graph;
mod handle;
mod kinds;
mod rows;
mod snapshot;
mod store;

pub use handle::VectorIndex;
