//! `GET /props` and `GET /health`.

use serde::{Deserialize, Serialize};

use super::{Extra, Field};

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Props {
    /// How many requests it works on at once.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub total_slots: Field<u64>,
    /// What it does unless a request says otherwise.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub default_generation_settings: Field<GenerationSettings>,
    /// The name that it was given for its model.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model_alias: Field<String>,
    /// The file that it has loaded.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model_path: Field<String>,
    /// The template that it puts around messages, in Jinja; empty where there is none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub chat_template: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a server does unless a request says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationSettings {
    /// How many tokens prompt and answer may have together, in each slot.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub n_ctx: Field<u64>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whether a server takes requests: `{"status":"ok"}`, where it does not refuse to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `ok`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub status: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
