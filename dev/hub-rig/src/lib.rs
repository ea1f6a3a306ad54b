//! What the tests of the server share: a [`Rig`] to be tested, [`Raw`] clients, [`Gated`] answers, and what is logged
//! meanwhile.
//!
//! All of it panics where a test would fail.

mod asked;
mod gated;
mod limits;
mod logs;
mod raw;
mod rig;
mod service;
mod waiting;

pub use asked::{CHAT, ask, chat, json};
pub use gated::Gated;
pub use limits::{count, many_connections, millis};
pub use logs::Logs;
pub use raw::{Raw, get, post, status};
pub use rig::Rig;
pub use service::{patient, service};
pub use waiting::{PATIENCE, until};
