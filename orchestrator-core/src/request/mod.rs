//! What a caller submits: the prompt, its parameters and its options.
//!
//! This module holds data only. What happens to a request is the business of
//! [`stage`](crate::stage) and [`pipeline`](crate::pipeline).

mod input;
mod message;
mod options;
mod prompt;
mod sampling;
mod size;

pub use input::Input;
pub use message::{Content, Image, Message, Role, ToolCall};
pub use options::{Priority, RequestOptions};
pub use prompt::{PromptRequest, ResponseFormat, Tool};
pub(crate) use prompt::{estimated_tokens, last_question};
pub use sampling::Sampling;
pub use size::Size;
