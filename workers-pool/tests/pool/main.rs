//! What a pool promises, on the paused clock, with scripted members.

mod build;
mod capability;
mod changes;
mod common;
mod dispatch;
mod embedder;
mod health;
mod nested;
mod outliers;
mod refusals;
mod slots;
mod trials;
mod waiting;
