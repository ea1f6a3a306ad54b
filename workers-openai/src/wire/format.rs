//! What requests of both text routes have in common.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, Field};

/// What form the answer must have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any text.
    Text(Extra),
    /// Any JSON object; llama.cpp takes a `schema` here.
    JsonObject(Extra),
    /// JSON that matches a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonSchema,
        /// Unknown fields.
        #[serde(flatten)]
        extra: Extra,
    },
    /// Anything else.
    #[serde(untagged)]
    Other(Value),
}

impl ResponseFormat {
    /// Asks for JSON that matches a schema; `strict` has OpenAI enforce it, other servers always do.
    pub fn json_schema(name: impl Into<String>, schema: Value, strict: bool) -> Self {
        let json_schema = JsonSchema {
            name: name.into().into(),
            schema: schema.into(),
            strict: strict.into(),
            ..JsonSchema::default()
        };
        Self::JsonSchema { json_schema, extra: Extra::new() }
    }
}

/// A schema with a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JsonSchema {
    /// What the form is called.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// What it is for; the model sees this.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// The JSON schema.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub schema: Field<Value>,
    /// Whether the answer must match, or should.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub strict: Field<bool>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a stream holds besides the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// Whether the usage is sent at the end.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub include_usage: Field<bool>,
    /// Unknown fields, such as vLLM's `continuous_usage_stats`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Texts at which the model stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stop {
    /// One.
    Text(String),
    /// Any of several.
    Texts(Vec<String>),
}
