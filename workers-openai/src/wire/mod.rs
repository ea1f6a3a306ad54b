//! The types of OpenAI's API as it is sent: chat completions, completions, embeddings, models, errors.
//!
//! Reading and writing again loses nothing: an optional field is a [`Field`], which keeps apart `null` and "not there";
//! unknown fields are kept in `extra`, which is also where a vendor's own parameters are put in; unknown names in
//! enumerations are kept as `Other`; numbers keep their form. Numbers that nobody calculates with are
//! [`serde_json::Number`]s.
//!
//! What these types are *not* made for is the text of a fast stream, token by token: they allocate for every field that they
//! keep.

mod chat;
mod completions;
mod embeddings;
mod error;
mod field;
mod float;
mod format;
mod logprobs;
mod message;
mod models;
mod open;
mod tools;
mod usage;

pub use chat::{ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatDelta, ChatRequest};
pub use completions::{Completion, CompletionChoice, CompletionRequest, Prompt};
pub use embeddings::{BadVector, Embedding, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, Vector};
pub use error::{ApiError, ErrorBody, ErrorValue};
pub use field::Field;
pub use float::Float;
pub use format::{JsonSchema, ResponseFormat, Stop, StreamOptions};
pub use logprobs::{Logprobs, TokenLogprob};
pub use message::{ChatMessage, Content, ImagePart, ImageUrl, Part, TextPart};
pub use models::{Model, ModelList};
pub use open::{FinishReason, Role};
pub use tools::{
    Arguments, FunctionCall, FunctionChoice, FunctionName, FunctionTool, Tool, ToolCall, ToolChoice, ToolMode,
};
pub use usage::{CompletionTokensDetails, PromptTokensDetails, Usage};

/// Unknown fields of an object: a vendor's own, or newer than this crate.
pub type Extra = serde_json::Map<String, serde_json::Value>;
