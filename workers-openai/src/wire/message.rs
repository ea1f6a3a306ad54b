//! Messages of a chat.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, Field, Role, ToolCall};

/// A message of a chat: in a request or, from the assistant, in an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatMessage {
    /// Who it is from.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub role: Field<Role>,
    /// What it says; `null` in an answer of nothing but tool calls.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<Content>,
    /// Keeps several users apart.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// What the assistant wants called.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tool_calls: Field<Vec<ToolCall>>,
    /// Which of the assistant's calls this is the result of.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tool_call_id: Field<String>,
    /// What the model thought, as llama.cpp and others call it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reasoning_content: Field<String>,
    /// What the model thought, as vLLM, OpenRouter and others call it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reasoning: Field<String>,
    /// Why the model won't answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub refusal: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatMessage {
    /// Makes a message without content.
    pub fn new(role: Role) -> Self {
        Self { role: role.into(), ..Self::default() }
    }

    /// Makes a message of whoever runs the service.
    pub fn system(content: impl Into<Content>) -> Self {
        Self { content: content.into().into(), ..Self::new(Role::System) }
    }

    /// Makes a message of whoever asks.
    pub fn user(content: impl Into<Content>) -> Self {
        Self { content: content.into().into(), ..Self::new(Role::User) }
    }

    /// Makes a message of the model.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self { content: content.into().into(), ..Self::new(Role::Assistant) }
    }

    /// Makes the result of the call with this id.
    pub fn tool(call_id: impl Into<String>, content: impl Into<Content>) -> Self {
        Self { content: content.into().into(), tool_call_id: call_id.into().into(), ..Self::new(Role::Tool) }
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Text.
    Text(String),
    /// Several things, one after the other.
    Parts(Vec<Part>),
    /// Anything else.
    Other(Value),
}

impl<T: Into<String>> From<T> for Content {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

/// One thing of several that a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Text.
    Text(TextPart),
    /// A picture.
    ImageUrl(ImagePart),
    /// Sound, a file, or what else a server takes.
    #[serde(untagged)]
    Other(Value),
}

impl Part {
    /// Makes a part of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPart { text: text.into(), extra: Extra::new() })
    }

    /// Makes a part of a picture at a URL, which may be a `data:` URL that holds it.
    pub fn image_url(url: impl Into<String>) -> Self {
        let image_url = ImageUrl { url: url.into(), detail: Field::Absent, extra: Extra::new() };
        Self::ImageUrl(ImagePart { image_url, extra: Extra::new() })
    }
}

/// A part of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPart {
    /// The text.
    pub text: String,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImagePart {
    /// Where it is.
    pub image_url: ImageUrl,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// A URL that the server can read, or a `data:` URL.
    pub url: String,
    /// `low`, `high` or `auto`: how closely the model looks at it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub detail: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
