use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Digest;

/// An API key, told by its digest.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The SHA-256 of the key.
    pub sha256: Digest,
    /// On whose account its requests run.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The class in which its requests queue.
    #[serde(default)]
    pub priority: Priority,
}

/// The class in which requests queue: a higher one is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Batch work.
    Low,
    /// Everything else.
    #[default]
    Normal,
    /// Somebody is looking at the screen.
    High,
}

impl From<Priority> for orchestrator_core::request::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
        }
    }
}

/// What a tenant is entitled to.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// Its share of the slots while others want them too; above zero, 1 unless set.
    pub weight: Option<f64>,
    /// Requests per second.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests that may come at once; as many as per second unless set.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub burst: Option<NonZeroU32>,
    /// Tokens per minute, of prompts and of answers as long as they may become.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub tokens_per_minute: Option<NonZeroU32>,
}

impl Tenant {
    /// Returns what it may ask for.
    #[must_use]
    pub const fn rate(&self) -> RateLimit {
        RateLimit {
            requests_per_second: self.requests_per_second,
            burst: self.burst,
            tokens_per_minute: self.tokens_per_minute,
        }
    }
}

/// How much may be asked for; what is not set is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Requests per second.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub requests_per_second: Option<NonZeroU32>,
    /// Requests that may come at once; as many as per second unless set.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub burst: Option<NonZeroU32>,
    /// Tokens per minute, of prompts and of answers as long as they may become.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub tokens_per_minute: Option<NonZeroU32>,
}
