//! Retrievers around retrievers, through the public API.

mod common;
mod diverse;
mod hybrid;
mod reranked;
