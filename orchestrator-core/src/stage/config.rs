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
    /// What has waited too long in a queue that does not get shorter is dropped; a full queue turns newcomers away.
    CoDel(CoDel),
    /// The door refuses what would not get a slot in time, and says when to come back.
    ///
    /// For the first stage only, in pipelines in which a stage takes [`Slots`]; there it is the default. The wait is predicted
    /// from what is booked ahead of the request at these slots, by whatever pipeline, and from what requests took so far. A
    /// request is refused whose wait would be longer than the stage's [`max_wait`](StageConfig::max_wait), or than its own
    /// deadline leaves. In a full queue the oldest request of a lower class makes room; where there is none, the newcomer is
    /// turned away.
    Predictive,
}

impl ShedPolicy {
    /// The same for callers who do not wait.
    pub(crate) const fn without_waiting(self) -> Self {
        match self {
            Self::Backpressure => Self::RejectNew,
            other => other,
        }
    }
}

/// Controlled delay: keeps the wait in a queue near a target, whatever its depth.
///
/// When everything that left the queue during `interval` has waited longer than `target`, whatever has waited longer is
/// dropped, until something comes out that has not. Bursts pass, standing queues don't. After Nichols and Jacobson,
/// "Controlling Queue Delay" (2012), with the law of dropping that request queues need, whose sources don't slow down
/// (Maurer, "Fail at Scale", 2015).
///
/// Choose a target of about one service time, and an interval of a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CoDel {
    /// The wait that is fine for ever; above zero.
    pub target: Duration,
    /// For how long a longer wait is fine; at least the target.
    pub interval: Duration,
}

impl CoDel {
    /// Sets both times.
    #[must_use]
    pub const fn new(target: Duration, interval: Duration) -> Self {
        Self { target, interval }
    }

    fn check(self, stage: &str, faults: &mut Vec<Fault>) {
        if self.target.is_zero() {
            faults.push(Fault::new(Some(stage), "shed", "has a CoDel target of zero"));
        }
        if self.target > self.interval {
            faults.push(Fault::new(Some(stage), "shed", "has a CoDel target above its interval"));
        }
    }
}

/// After how long a class may go before the next higher one, unless set.
const AGING: Duration = Duration::from_secs(30);

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
/// [`slots`](Self::slots), if more), no time limit, polled in the stage's own task. The first stage of a pipeline in which
/// one takes slots has [`ShedPolicy::Predictive`], and such a stage a [`max_wait`](Self::max_wait) of 2 s then.
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
    max_wait: Option<Duration>,
    aging: Option<Duration>,
    expected: Option<Duration>,
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
    ///
    /// A stage that takes a worker's slots calls the worker from its `run`, with the request's own
    /// [`Context`](crate::context::Context). A worker around others, such as a pool, then uses what the slot
    /// [holds](crate::context::Context::lease) already for its first call; further ones wait for slots of their own.
    pub fn slots(mut self, slots: Slots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Sets how long a request may wait in the stage's queue; above zero.
    ///
    /// One that has waited so long is shed ([`ShedReason::Waited`](crate::error::ShedReason::Waited)). Where the door is
    /// [`Predictive`](ShedPolicy::Predictive) and the stage takes slots, this is also what the door promises: a request that
    /// would wait longer is refused at once. 2 s there unless set, no limit elsewhere.
    pub const fn max_wait(mut self, limit: Duration) -> Self {
        self.max_wait = Some(limit);
        self
    }

    /// Sets after how long a request of a lower class is overdue; above zero, 30 s unless set.
    ///
    /// One of class [`Normal`](crate::request::Priority::Normal) is after this time, one of class
    /// [`Low`](crate::request::Priority::Low) after twice as long. Every second request that leaves the queue is then the
    /// oldest that is overdue, the others go by class and by the turns of tenants: so nothing waits longer than that time,
    /// plus twice the time to serve what was overdue before it, however much of a higher class arrives; and where all that
    /// waits is overdue, classes and tenants still count. Choose it well above the waits of a normal day, or half of the
    /// slots go by age alone.
    pub const fn aging(mut self, step: Duration) -> Self {
        self.aging = Some(step);
        self
    }

    /// Sets how long a request is expected to hold its slot as long as nothing has been measured; above zero, 1 s unless set.
    ///
    /// Weighs as much as four measured requests. For stages that take [`slots`](Self::slots).
    pub const fn expected(mut self, service: Duration) -> Self {
        self.expected = Some(service);
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
            max_wait: self.max_wait.or(defaults.max_wait),
            aging: self.aging.or(defaults.aging),
            expected: self.expected.or(defaults.expected),
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
            ("max_wait", self.max_wait.is_some()),
            ("aging", self.aging.is_some()),
            ("expected", self.expected.is_some()),
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
        let times = [
            ("timeout", self.timeout),
            ("max_wait", self.max_wait),
            ("aging", self.aging),
            ("expected", self.expected),
        ];
        for (field, _) in times.into_iter().filter(|(_, time)| time.is_some_and(|t| t.is_zero())) {
            faults.push(Fault::new(Some(stage), field, "must be above zero"));
        }
        if self.expected.is_some() && self.slots.is_none() {
            faults.push(Fault::new(Some(stage), "expected", "needs a stage that takes slots"));
        }
        if let Some(ShedPolicy::CoDel(codel)) = self.shed {
            codel.check(stage, faults);
        }
        Plan {
            depth,
            concurrency,
            limited: self.concurrency.is_some(),
            timeout: self.timeout,
            shed: self.shed,
            placement: self.placement.unwrap_or(Placement::Queued),
            ordered: self.ordered.unwrap_or(false),
            slots: self.slots,
            max_wait: self.max_wait,
            aging: self.aging.unwrap_or(AGING),
            expected: self.expected,
        }
    }
}

/// A [`StageConfig`] with every value settled.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) depth: NonZeroUsize,
    pub(crate) concurrency: NonZeroUsize,
    /// Whether somebody has set that.
    pub(crate) limited: bool,
    pub(crate) timeout: Option<Duration>,
    /// `None` where nobody has set one.
    pub(crate) shed: Option<ShedPolicy>,
    pub(crate) placement: Placement,
    pub(crate) ordered: bool,
    pub(crate) slots: Option<Slots>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) aging: Duration,
    pub(crate) expected: Option<Duration>,
}
