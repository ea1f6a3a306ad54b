//! Answers that are quoted from the passages of a request.

mod blocks;
mod rank;
mod sentences;
mod terms;
mod words;
mod worker;

pub use worker::Extractive;
