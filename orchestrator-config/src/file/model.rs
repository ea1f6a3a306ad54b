use schemars::JsonSchema;
use serde::Deserialize;

use super::Time;

/// A model that clients ask for, and what answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What it is asked for by: a name, or a pattern with one `*`. Names come before patterns, patterns are looked through in
    /// order.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The pipeline that answers prompts.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// The worker or pool that answers prompts, where no more is needed than a queue in front of it.
    #[serde(default)]
    pub worker: Option<String>,
    /// The worker or pool that embeds texts.
    #[serde(default)]
    pub embeddings: Option<String>,
    /// What it is called at the server. Unless set, a pattern asks for what it was asked for, and a name for what its worker
    /// calls its `model`, or for nothing, where the worker names none.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Models whose workers answer in its place while its own cannot, in this order. Theirs are not followed any further, so
    /// two models may stand in for each other.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// How long a request may take in all; before that of the pipeline.
    #[serde(default)]
    pub deadline: Option<Time>,
}
