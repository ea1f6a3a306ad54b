//! The index over vectors, through the public API.

mod changes;
mod common;
mod damage;
mod embedders;
mod filters;
mod kill;
mod open;
mod recall;
