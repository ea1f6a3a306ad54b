//! What a session said before: stores of turns, the stage that fills them, and how assembly reads them.

mod in_memory;
mod limits;
mod recall;
mod remember;
mod state;
mod store;
mod summary;

pub use in_memory::SessionMemory;
pub use limits::{MemoryLimits, MemoryStats};
pub(crate) use recall::{Asked, Recollection, recall};
pub use remember::RememberStage;
pub use store::{SessionKey, SessionStore, Turn};
