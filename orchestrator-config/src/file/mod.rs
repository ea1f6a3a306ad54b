//! What a configuration file may say, section by section.

mod server;
mod time;

pub use server::{Limits, Listener, Placement};
pub use time::Time;
