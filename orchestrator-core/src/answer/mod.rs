//! What a caller holds of its request.

mod buffered;
mod direct;
mod handle;
mod report;
mod stage;
mod tokens;

pub use handle::Answer;
pub use report::{Note, Report, StageReport};
pub use stage::StreamStage;
pub use tokens::Tokens;
