//! What providers really do to a service, and that many workers as one survive it.
//!
//! Everything is asked of `FailOver` around `Retry` around a `Pool` of two, a primary and a fallback.
//!
//! - `story`: what a worker may do to a call, and what a story of a fault promises;
//! - `catalogue`: the faults, one story each;
//! - `scripted`: the catalogue with scripted workers on the paused clock, with limits as in life;
//! - `wire`: the catalogue over TCP, with the worker of OpenAI's API and limits scaled down;
//! - `told`: what became of a request, held against its story;
//! - `traffic`: a primary that is down for a minute, and two that never come back, under steady traffic;
//! - `contracts`: the suite that every worker is held to, through all wrappers;
//! - `leaving`: readers who leave, and deadlines, in each phase of an answer.

#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod contracts;
mod fleet;
mod leaving;
mod scripted;
mod story;
mod told;
mod traffic;
mod wire;
