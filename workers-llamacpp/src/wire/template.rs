//! `POST /apply-template`.

use serde::{Deserialize, Serialize};
use workers_openai::wire::ChatMessage;

use super::{Extra, Field};

/// A conversation that is to become a prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateRequest {
    /// Its messages.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub messages: Field<Vec<ChatMessage>>,
    /// What else the template knows, such as `chat_template_kwargs`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A prompt, as the model shall see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateResponse {
    /// The text.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
