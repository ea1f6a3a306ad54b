//! The gateway behind a real listener, in front of scripted workers.

mod chat;
mod rig;
