use schemars::JsonSchema;
use serde::Deserialize;

use super::{Stage, Time};

/// What requests run through, stage by stage.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// How long a request may take in all.
    #[serde(default)]
    pub deadline: Option<Time>,
    /// The stages in order: `rag` and `assemble`, where there are any, `infer`, any number of `post`, `stream`. A last `stream`
    /// that is left out is direct.
    pub stages: Vec<Stage>,
}
