use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, Time};

/// How any model server is spoken to.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Access {
    /// Its key.
    pub key: Option<Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    pub timeouts: Timeouts,
}

/// How long a worker is waited for, phase by phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the call to the first token; 120 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Time>,
    /// From one token to the next; 30 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between_tokens: Option<Time>,
    /// From the call to the end; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Time>,
}

impl From<Timeouts> for orchestrator_core::worker::Timeouts {
    fn from(set: Timeouts) -> Self {
        let mut limits = Self::default();
        limits.first_token = set.first_token.map(Into::into).or(limits.first_token);
        limits.between_tokens = set.between_tokens.map(Into::into).or(limits.between_tokens);
        limits.total = set.total.map(Into::into).or(limits.total);
        limits
    }
}
