//! The retrieval stage, and what it says of its search.

mod outcome;
mod stage;

pub use outcome::Retrieval;
pub use stage::{RagStage, last_two_questions};
