//! What the pipeline promises beside cancellation, deadlines, drains, slots and panics, which have tests of their own.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod batches;
mod build;
mod door;
mod limits;
mod order;
mod policies;
mod prefixes;
mod reports;
mod service;
