//! What a pool promises, on the paused clock, with scripted members.

mod common;
mod dispatch;
mod slots;
