use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::tools::{Choice, Tool};
use crate::openapi::NotEmpty;

/// The body of a request for a message.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessageRequest)]
pub(super) struct Body {
    pub(super) model: String,
    #[schema(minimum = 1, maximum = 4294967295_u32)]
    pub(super) max_tokens: u64,
    #[schema(min_items = 1)]
    pub(super) messages: Vec<Turn>,
    pub(super) system: Option<Plain>,
    #[schema(value_type = Option<Vec<NotEmpty>>)]
    pub(super) stop_sequences: Option<Vec<String>>,
    pub(super) stream: Option<bool>,
    #[schema(minimum = 0, maximum = 2)]
    pub(super) temperature: Option<f32>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub(super) top_p: Option<f32>,
    pub(super) top_k: Option<u64>,
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<Choice>,
    pub(super) metadata: Option<Metadata>,
    pub(super) thinking: Option<Thinking>,
    pub(super) output_config: Option<OutputConfig>,
    /// Everything else, for the server behind.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) vendor: Map<String, Value>,
}

/// One turn of the conversation.
#[derive(Deserialize, ToSchema)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) content: Content,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TurnRole)]
pub(super) enum Role {
    User,
    Assistant,
    /// In the middle of a conversation, where the model's server knows such.
    System,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = TurnContent)]
#[serde(
    untagged,
    expecting = "`content` must be a text or a list of blocks, each with its `type` and what belongs to that"
)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

/// A part of a turn. Marks for a cache, and citations of what is no document here, are passed over.
#[derive(Deserialize, ToSchema)]
#[schema(as = TurnBlock)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        text: String,
    },
    Image {
        source: Source,
    },
    ToolUse {
        id: String,
        name: String,
        input: Value,
    },
    ToolResult {
        tool_use_id: String,
        content: Option<Plain>,
        is_error: Option<bool>,
    },
    Thinking {
        thinking: String,
    },
    /// Nobody but its author can read it.
    RedactedThinking {},
}

/// What stands in a system prompt, or is the result of a tool.
///
/// Its parts hold no blocks again. Each level of a type that holds itself would keep a copy of all that is below.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "only a text, or a list of blocks of type text and image, can stand here")]
pub(super) enum Plain {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PlainPart)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    Text { text: String },
    Image { source: Source },
}

/// Where a picture is.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source {
    Base64 { media_type: String, data: String },
    Url { url: String },
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Metadata {
    pub(super) user_id: Option<String>,
}

/// Whether the client wants to read the model's reasoning. How much there is of it is the server's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Thinking {
    Enabled,
    Adaptive,
    Disabled,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct OutputConfig {
    pub(super) format: Option<Format>,
}

/// The shape that the answer must have.
#[derive(Deserialize, ToSchema)]
#[schema(as = OutputFormat)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Format {
    JsonSchema {
        #[schema(value_type = Object)]
        schema: Value,
    },
}

impl Body {
    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// Returns whether reasoning is shown.
    pub(super) fn shows_thinking(&self) -> bool {
        self.thinking.is_some_and(|thinking| thinking != Thinking::Disabled)
    }

    /// Returns whom the client names, which is a session here.
    pub(super) fn user(&self) -> Option<String> {
        self.metadata.as_ref()?.user_id.clone()
    }
}
