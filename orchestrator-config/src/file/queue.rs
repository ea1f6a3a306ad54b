use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// The queue in front of a stage, and how much of what leaves it runs at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Requests that may wait; 512 unless set, 1,024 in front of `post`.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub depth: Option<NonZeroUsize>,
    /// Requests that may be inside the stage at once; 256 unless set, or as many as the worker has slots.
    #[schemars(range(min = 1))]
    pub concurrency: Option<NonZeroUsize>,
    /// What happens when it is full, or too slow. Unless set, the first stage of a pipeline is `predictive` where its worker's
    /// slots are known, and all else is `backpressure`.
    pub shed: Option<Shed>,
    /// The times of `shed = "codel"`.
    pub codel: Option<CoDel>,
    /// How long a request may wait; 2 s unless set, where the first stage is `predictive`, and no limit elsewhere.
    pub max_wait: Option<Time>,
    /// After how long a request of a lower class is overdue; 30 s unless set.
    pub aging: Option<Time>,
    /// How long a request is expected to hold its slot before anything was measured; 1 s unless set.
    pub expected: Option<Time>,
    /// How long one run of the stage may take; of `infer`, until its stream begins.
    pub timeout: Option<Time>,
}

/// What a full queue does with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shed {
    /// It waits, and so does the stage before.
    Backpressure,
    /// It is turned away.
    RejectNew,
    /// The oldest request of the lowest class makes room for it.
    DropOldest,
    /// What has waited too long in a queue that does not get shorter is dropped.
    #[serde(rename = "codel")]
    CoDel,
    /// What would not get a slot in time is refused at once, and told when to come back; in front of the first stage only.
    Predictive,
}

/// The times of controlled delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoDel {
    /// The wait that is fine for ever: about the time that one request takes.
    pub target: Time,
    /// For how long a longer wait is fine; at least the target.
    pub interval: Time,
}

impl Default for CoDel {
    fn default() -> Self {
        Self { target: Time::secs(1), interval: Time::secs(4) }
    }
}
