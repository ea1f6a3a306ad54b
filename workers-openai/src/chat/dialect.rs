use orchestrator_core::request::ResponseFormat;
use serde_json::json;

use crate::wire;

/// In what the requests of a kind of server differ from those of others.
///
/// The default is what most servers understand, llama.cpp and vLLM among them; the others belong to
/// [`Preset`](crate::Preset)s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Whether a stream's usage has to be asked for.
    pub(crate) include_usage: bool,
    /// Whether the limit of a chat is called `max_completion_tokens`.
    pub(crate) max_completion_tokens: bool,
    /// What the sampler's seed is called.
    pub(crate) seed: &'static str,
    /// Whether `top_p` may be 1, which means that there is no such limit.
    pub(crate) whole_top_p: bool,
    /// How JSON is asked for.
    pub(crate) json: Json,
}

/// How a server is asked for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json {
    /// `json_object`, and `json_schema` with a name.
    OpenAi,
    /// Only `json_schema`: any object is one by a schema that says no more.
    SchemaOnly,
    /// `json` with the schema as its value.
    Tgi,
}

impl Default for Dialect {
    fn default() -> Self {
        Self::COMMON
    }
}

impl Dialect {
    pub(crate) const COMMON: Self =
        Self { include_usage: true, max_completion_tokens: false, seed: "seed", whole_top_p: true, json: Json::OpenAi };

    pub(crate) fn response_format(&self, format: &ResponseFormat) -> Option<wire::ResponseFormat> {
        let any_object = || json!({"type": "object"});
        let (name, schema) = match format {
            ResponseFormat::Json => (None, None),
            ResponseFormat::JsonSchema { name, schema } => (Some(name.as_str()), Some(schema.clone())),
            // Text, and what this version of ours does not know.
            _ => return None,
        };
        Some(match (self.json, schema) {
            (Json::Tgi, schema) => {
                wire::ResponseFormat::Other(json!({"type": "json", "value": schema.unwrap_or_else(any_object)}))
            }
            (Json::OpenAi, None) => wire::ResponseFormat::JsonObject(wire::Extra::new()),
            (Json::SchemaOnly, None) => wire::ResponseFormat::json_schema("object", any_object(), false),
            (_, Some(schema)) => wire::ResponseFormat::json_schema(name.unwrap_or_default(), schema, true),
        })
    }
}
