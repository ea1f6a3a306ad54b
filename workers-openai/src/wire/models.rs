//! `GET /v1/models`.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Extra, Field};

/// What a server has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelList {
    /// `list`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// The models.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub data: Field<Vec<Model>>,
    /// Unknown fields; llama.cpp repeats its list here as Ollama writes it.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A model that can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// What requests call it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `model`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// When it was made or loaded, in seconds since 1970.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub created: Field<Number>,
    /// Who has it: an organization, or the kind of server.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub owned_by: Field<String>,
    /// Unknown fields, such as vLLM's `max_model_len` and llama.cpp's `meta`.
    #[serde(flatten)]
    pub extra: Extra,
}
