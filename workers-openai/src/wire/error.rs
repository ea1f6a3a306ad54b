//! The body of a refusal, and of an error inside a stream.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, Field};

/// An object that says that something failed.
///
/// OpenAI, llama.cpp and vLLM send `{"error": {..}}`, Ollama and TGI `{"error": ".."}`; what a server's web framework
/// refuses by itself comes as `{"detail": ..}` or `{"message": ".."}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorBody {
    /// What failed.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub error: Field<ErrorValue>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ErrorBody {
    /// Returns what the server says, wherever it says it.
    pub fn message(&self) -> Option<&str> {
        match self.error.get() {
            Some(ErrorValue::Object(error)) => error.message.get().map(String::as_str),
            Some(ErrorValue::Text(text)) => Some(text),
            Some(ErrorValue::Other(_)) => None,
            None => ["detail", "message"].iter().find_map(|name| self.extra.get(*name)?.as_str()),
        }
    }
}

/// The value of `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorValue {
    /// As OpenAI writes it.
    Object(Box<ApiError>),
    /// Only a message.
    Text(String),
    /// Anything else.
    Other(Value),
}

/// An error as OpenAI writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiError {
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub message: Field<String>,
    /// What is wrong, for programs; each server has its own words.
    #[serde(rename = "type", skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// The parameter that is wrong.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub param: Field<Value>,
    /// A word (OpenAI) or the status as a number (llama.cpp, vLLM).
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub code: Field<Value>,
    /// Unknown fields, such as llama.cpp's `n_prompt_tokens` and `n_ctx`.
    #[serde(flatten)]
    pub extra: Extra,
}
