//! `POST /tokenize`.

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use serde::{Deserialize, Serialize};
use workers_openai::client::Client;
use workers_openai::wire::{ChatMessage, Extra, Field};

/// Asks for the tokens of a text, or of a conversation as the model's template writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TokenizeRequest {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) model: Field<String>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) prompt: Field<String>,
    /// In the place of `prompt`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) messages: Field<Vec<ChatMessage>>,
    /// Whether the answer's opening stands behind the messages.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) add_generation_prompt: Field<bool>,
    /// How the template is filled in, whether marks such as that of the beginning are added, and what is newer than this crate.
    #[serde(flatten)]
    pub(crate) extra: Extra,
}

/// The tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tokenized {
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(crate) tokens: Field<Vec<u32>>,
    /// Their count, the model's length, their texts.
    #[serde(flatten)]
    pub(crate) extra: Extra,
}

/// Returns the ids of the tokens.
///
/// # Errors
///
/// Those of the server, and `Protocol` where it answers without tokens.
pub(crate) async fn tokens(client: &Client, request: &TokenizeRequest) -> Result<Vec<u32>, WorkerError> {
    let tokenized: Tokenized = client.post_json("/tokenize", request).await?;
    tokenized.tokens.into_option().ok_or_else(|| {
        WorkerError::new(WorkerErrorKind::Protocol, "the server tokenized a text and did not say its tokens")
    })
}
