//! `GET /slots`.

use serde::{Deserialize, Serialize};

use super::{Extra, Field};

/// One of a server's slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Its number, from 0.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<u64>,
    /// How many tokens it has room for.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub n_ctx: Field<u64>,
    /// Whether it works on a request.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub is_processing: Field<bool>,
    /// Tokens that it holds, of the prompt and the answer so far; none before its first request.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub n_prompt_tokens: Field<u64>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
