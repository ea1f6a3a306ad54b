//! The worker of any server that speaks OpenAI's API, and what is known of some of them.

mod builder;
mod openai;
mod preset;

pub use builder::OpenAiBuilder;
pub use openai::OpenAi;
pub use preset::Preset;
