use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Breaker, Timeouts};

/// A worker as a pool takes it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Member {
    /// A worker's name, with nothing to add.
    Name(String),
    /// A worker, and what routing should know of it.
    Settings(Box<MemberSettings>),
}

impl Member {
    /// Returns the name of its worker.
    #[must_use]
    pub fn worker(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Settings(settings) => &settings.worker,
        }
    }

    /// Returns what was said of it, if anything.
    #[must_use]
    pub fn settings(&self) -> Option<&MemberSettings> {
        match self {
            Self::Name(_) => None,
            Self::Settings(settings) => Some(settings),
        }
    }
}

/// A worker, and what routing should know of it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberSettings {
    /// The worker's name.
    pub worker: String,
    /// Its share of the work, for policies that go by it; above zero, 1 unless set.
    #[serde(default)]
    pub weight: Option<f64>,
    /// What it costs, for `policy = "cheapest"`, in any unit; 0 unless set.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Calls that it is given at once; as many as it has slots, or 256 where that is not known.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub in_flight: Option<NonZeroUsize>,
    /// Names of other models for which it takes requests, under the name of its own.
    #[serde(default)]
    pub serves: Vec<String>,
    /// How long it is waited for; beside the worker's own limits.
    #[serde(default)]
    pub timeouts: Option<Timeouts>,
    /// When it is left alone; the pool's unless set.
    #[serde(default)]
    pub breaker: Option<Breaker>,
}
