//! How many tokens an answer took.

use serde::{Deserialize, Serialize};

use super::{Extra, Field};

/// Token counts, as the server keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the prompt, the cached ones included.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt_tokens: Field<u64>,
    /// Tokens of the answer, reasoning included.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub completion_tokens: Field<u64>,
    /// The sum of both.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub total_tokens: Field<u64>,
    /// What the prompt's tokens were.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt_tokens_details: Field<PromptTokensDetails>,
    /// What the answer's tokens were.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub completion_tokens_details: Field<CompletionTokensDetails>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the prompt's tokens were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptTokensDetails {
    /// Tokens that the server had in its cache and did not evaluate again.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub cached_tokens: Field<u64>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What the answer's tokens were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionTokensDetails {
    /// Tokens of reasoning, shown or not.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reasoning_tokens: Field<u64>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
