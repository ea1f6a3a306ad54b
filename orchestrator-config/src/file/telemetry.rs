use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the service tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// How log lines are written.
    pub logs: Logs,
    /// What is logged: `off`, `error`, `warn`, `info`, `debug` or `trace`, and levels by module. With `orchestrator_core` at
    /// `info` lines tell the pipeline and the stage as well, which costs some microseconds for each request.
    pub level: String,
    /// Whether `/metrics` tells figures, in Prometheus' format.
    pub metrics: bool,
    /// Whether each request is a log line.
    pub access_log: bool,
}

/// Lines have the id of their request all the same.
const LEVEL: &str = "info,orchestrator_core=warn";

impl Default for Telemetry {
    fn default() -> Self {
        Self { logs: Logs::default(), level: LEVEL.to_owned(), metrics: true, access_log: false }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Logs {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}
