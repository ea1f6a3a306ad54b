use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Member, Time};

/// Workers that answer as one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The workers: names, or tables where there is more to say.
    #[schemars(length(min = 1))]
    pub members: Vec<Member>,
    /// How a member is chosen.
    #[serde(default)]
    pub policy: Policy,
    /// How long a first token may take, for `policy = "cheapest"`; 2 s unless set.
    #[serde(default)]
    pub goal: Option<Time>,
    /// How many times its share of the calls a session's home may have, for `policy = "session-affinity"`; 1.25 unless set.
    #[serde(default)]
    pub bound: Option<f64>,
    /// How a call that fails before its first token is made again.
    #[serde(default)]
    pub retry: Retry,
    /// What becomes of an answer that breaks off.
    #[serde(default)]
    pub fail_over: FailOver,
    /// When a member that fails is left alone.
    #[serde(default)]
    pub breaker: Breaker,
    /// How often members are asked how they are.
    #[serde(default = "health_every")]
    pub health_every: Time,
    /// Calls that may wait inside for a member that fits, where members are not alike.
    #[serde(default = "waiting")]
    pub waiting: usize,
}

const fn health_every() -> Time {
    Time::secs(5)
}

const fn waiting() -> usize {
    64
}

impl Pool {
    /// Makes a pool of workers, with what is set unless said otherwise.
    pub fn new(members: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            members: members.into_iter().map(|name| Member::Name(name.into())).collect(),
            policy: Policy::default(),
            goal: None,
            bound: None,
            retry: Retry::default(),
            fail_over: FailOver::default(),
            breaker: Breaker::default(),
            health_every: health_every(),
            waiting: waiting(),
        }
    }
}

/// How a member is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The faster of two taken by chance.
    #[default]
    PeakEwma,
    /// One after the other.
    RoundRobin,
    /// One after the other, by weight.
    Weighted,
    /// The one with the fewest calls.
    LeastOutstanding,
    /// The home of the session, which keeps its cache.
    SessionAffinity,
    /// The first that takes requests.
    Ordered,
    /// The cheapest that is fast enough.
    Cheapest,
}

/// How a call that fails before its first token is made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first one among them; with 1 there is no second one.
    pub attempts: NonZeroUsize,
    /// The longest pause before the second attempt; twice as long before each further one.
    pub pause: Time,
    /// The longest pause at all.
    pub longest_pause: Time,
    /// Retries for each request, from 0 to 1, beyond ten a second.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub budget: f32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: NonZeroUsize::new(6).expect("above zero"),
            pause: Time(std::time::Duration::from_millis(500)),
            longest_pause: Time::secs(10),
            budget: 0.2,
        }
    }
}

/// What becomes of an answer that breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailOver {
    /// Another member goes on with it where it broke off, if one can.
    #[default]
    Continue,
    /// It begins anew as long as the client has nothing of it, and fails else.
    Restart,
    /// It fails.
    Off,
}

/// When a member that fails is left alone, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// The share of calls that failed in the window at which it opens.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failure_rate: f64,
    /// A call that waits longer than this for its first token is slow; none is unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_call: Option<Time>,
    /// The share of slow calls at which it opens.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub slow_rate: f64,
    /// Over how long calls are counted.
    pub window: Time,
    /// Calls that must have been counted before shares mean something.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub least_calls: u32,
    /// Failures in a row at which it opens.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub in_a_row: u32,
    /// The pause before the first probe.
    pub first_pause: Time,
    /// The longest pause, after probes that failed.
    pub longest_pause: Time,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_rate: 0.5,
            slow_call: None,
            slow_rate: 0.5,
            window: Time::secs(10),
            least_calls: 5,
            in_a_row: 5,
            first_pause: Time::secs(1),
            longest_pause: Time::secs(15),
        }
    }
}
