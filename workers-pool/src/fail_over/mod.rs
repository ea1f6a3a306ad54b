//! Going on with an answer whose worker failed.
//!
//! `worker` is what users hold; `stream` is the layer around the worker's streams. `course` is one request on its way through
//! several calls: it decides what follows from a failure, with the [`Pace`](crate::Pace) of retries (`next` says what that may
//! be). `delivered` is what the reader has, `begun` whether and how another call can go on behind it, and `seam` what is looked
//! at there.

mod begun;
mod course;
mod delivered;
mod next;
mod seam;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::{FailOver, Resume};
