use std::num::NonZeroUsize;
use std::time::Duration;

use crate::error::Fault;
use crate::worker::Slots;

/// What a full queue does with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ShedPolicy {
    /// The newcomer waits; so does whoever stands behind it, up to the door.
    #[default]
    Backpressure,
    /// The newcomer is turned away.
    RejectNew,
    /// The oldest request of the lowest class makes room, unless the newcomer's class is lower still.
    DropOldest,
}

/// Where a stage's `run` is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In the task of the stage before, behind it, without a queue.
    Inline,
    /// Behind a queue, in the stage's own task.
    Queued,
    /// Behind a queue, each request in a task of its own.
    Spawned,
}

/// How a stage is placed in a pipeline: its queue, its limits, and where it runs.
///
/// What is not set comes from the stage's [`defaults`](crate::stage::Stage::defaults), then from the runtime's: a queue
/// of 512 with [`ShedPolicy::Backpressure`], at most 256 requests inside (or as many as there are
/// [`slots`](Self::slots), if more), no time limit, polled in the stage's own task.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::stage::{ShedPolicy, StageConfig};
///
/// let config = StageConfig::new()
///     .depth(64)
///     .concurrency(8)
///     .timeout(Duration::from_secs(5))
///     .shed(ShedPolicy::RejectNew);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct StageConfig {
    depth: Option<usize>,
    concurrency: Option<usize>,
    timeout: Option<Duration>,
    shed: Option<ShedPolicy>,
    placement: Option<Placement>,
    ordered: Option<bool>,
    slots: Option<Slots>,
}

impl StageConfig {
    /// Sets nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many requests may wait in front of the stage; at least 1.
    pub const fn depth(mut self, requests: usize) -> Self {
        self.depth = Some(requests);
        self
    }

    /// Sets how many requests may be inside the stage at once; at least 1.
    ///
    /// A request is inside while `run` runs, while its output waits for the next queue, and as long as the output
    /// keeps a permit of [`Context::hold_permit`](crate::context::Context::hold_permit).
    pub const fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = Some(requests);
        self
    }

    /// Sets how long one `run` may take; above zero.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets what the stage's queue does when it is full.
    pub const fn shed(mut self, policy: ShedPolicy) -> Self {
        self.shed = Some(policy);
        self
    }

    /// Runs the stage at the end of the one before, in its permit and its task, without a queue.
    ///
    /// The first stage of a pipeline keeps its queue, which is the door.
    pub const fn inline(mut self) -> Self {
        self.placement = Some(Placement::Inline);
        self
    }

    /// Runs the stage behind a queue, in the stage's own task: for stages that finish at once or only wait.
    pub const fn queued(mut self) -> Self {
        self.placement = Some(Placement::Queued);
        self
    }

    /// Runs each request of the stage behind a queue, in a task of its own: for stages that may burn CPU.
    pub const fn spawned(mut self) -> Self {
        self.placement = Some(Placement::Spawned);
        self
    }

    /// Hands requests on in the order in which they came.
    pub const fn ordered(mut self) -> Self {
        self.ordered = Some(true);
        self
    }

    /// Takes one of `slots` for each request before it leaves the queue, until its permit is released.
    pub fn slots(mut self, slots: Slots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Fills what is not set from `defaults`.
    pub(crate) fn or(self, defaults: Self) -> Self {
        Self {
            depth: self.depth.or(defaults.depth),
            concurrency: self.concurrency.or(defaults.concurrency),
            timeout: self.timeout.or(defaults.timeout),
            shed: self.shed.or(defaults.shed),
            placement: self.placement.or(defaults.placement),
            ordered: self.ordered.or(defaults.ordered),
            slots: self.slots.or(defaults.slots),
        }
    }

    /// Says what is wrong with what a caller has set for a stage that is not the first.
    pub(crate) fn check_inline(&self, stage: &str, faults: &mut Vec<Fault>) {
        if self.placement != Some(Placement::Inline) {
            return;
        }
        let queue_settings = [
            ("depth", self.depth.is_some()),
            ("concurrency", self.concurrency.is_some()),
            ("shed", self.shed.is_some()),
        ];
        for (field, set) in queue_settings {
            if set {
                faults.push(Fault::new(Some(stage), field, "needs a queue, and an inline stage has none"));
            }
        }
    }

    /// Says what is wrong with an inline placement once the stage's own settings have been added.
    ///
    /// Slots are taken at a queue; without one the server's limit would not hold.
    pub(crate) fn check_slots(&self, stage: &str, faults: &mut Vec<Fault>) {
        if self.placement == Some(Placement::Inline) && self.slots.is_some() {
            faults.push(Fault::new(Some(stage), "slots", "needs a queue, and an inline stage has none"));
        }
    }

    /// Settles every value, or says what is wrong.
    pub(crate) fn plan(self, stage: &str, faults: &mut Vec<Fault>) -> Plan {
        const DEPTH: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");
        const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
        // More slots than that would lie idle.
        let slots = self.slots.as_ref().and_then(|s| NonZeroUsize::new(s.total()));
        let mut at_least_one = |field, value: Option<usize>, default| match value.map(NonZeroUsize::new) {
            None => default,
            Some(Some(value)) => value,
            Some(None) => {
                faults.push(Fault::new(Some(stage), field, "must be at least 1"));
                default
            }
        };
        let depth = at_least_one("depth", self.depth, DEPTH);
        let concurrency = at_least_one("concurrency", self.concurrency, CONCURRENCY.max(slots.unwrap_or(CONCURRENCY)));
        if depth.get() > u32::MAX as usize / 2 {
            faults.push(Fault::new(Some(stage), "depth", "must be below 2^31"));
        }
        if self.timeout.is_some_and(|t| t.is_zero()) {
            faults.push(Fault::new(Some(stage), "timeout", "must be above zero"));
        }
        Plan {
            depth,
            concurrency,
            timeout: self.timeout,
            shed: self.shed.unwrap_or_default(),
            placement: self.placement.unwrap_or(Placement::Queued),
            ordered: self.ordered.unwrap_or(false),
            slots: self.slots,
        }
    }
}

/// A [`StageConfig`] with every value settled.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) depth: NonZeroUsize,
    pub(crate) concurrency: NonZeroUsize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) shed: ShedPolicy,
    pub(crate) placement: Placement,
    pub(crate) ordered: bool,
    pub(crate) slots: Option<Slots>,
}
