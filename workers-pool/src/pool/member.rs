use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::{ModelWorker, Slots, Timeouts};

use crate::breaker::BreakerConfig;
use crate::pool::embeds::Guarded;

/// A worker as a [`Pool`](crate::Pool) takes it: with a name of its own, and with what routing should know.
///
/// ```
/// use orchestrator_core::testing::{MockWorker, Script};
/// use workers_pool::Member;
///
/// let cloud = MockWorker::new(Script::answering("from afar"));
/// let member = Member::new("cloud", cloud).serves("small").in_flight(64).cost(0.6);
/// ```
#[derive(Clone)]
pub struct Member {
    pub(super) name: String,
    pub(super) worker: Arc<dyn ModelWorker>,
    pub(super) weight: f64,
    pub(super) cost: f64,
    pub(super) serves: Vec<String>,
    pub(super) in_flight: Option<usize>,
    pub(super) timeouts: Option<Timeouts>,
    pub(super) breaker: BreakerConfig,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
}

impl Member {
    /// How many calls a worker without slots is given at once, unless [`in_flight`](Self::in_flight) says otherwise.
    pub const IN_FLIGHT: usize = 256;

    /// Names a worker. The name is what logs, statistics and [`Origin`](orchestrator_core::token::Origin) show; no two members
    /// of a pool have the same. Those of pools in pools may, but then logs don't tell them apart.
    pub fn new(name: impl Into<String>, worker: impl ModelWorker) -> Self {
        Self {
            name: name.into(),
            worker: Arc::new(worker),
            weight: 1.0,
            cost: 0.0,
            serves: Vec::new(),
            in_flight: None,
            timeouts: None,
            breaker: BreakerConfig::new(),
            embedder: None,
        }
    }

    /// Sets its share of the work, for policies that go by it; above zero, 1 unless set.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Sets what it costs, for policies that go by it, in any unit that is the same for all members; 0 unless set.
    #[must_use]
    pub const fn cost(mut self, cost: f64) -> Self {
        self.cost = cost;
        self
    }

    /// Has it take requests for another model's name, too. They reach the worker with the name of its own model.
    #[must_use]
    pub fn serves(mut self, model: impl Into<String>) -> Self {
        self.serves.push(model.into());
        self
    }

    /// Gives it no more calls at once than this, however many slots its server has.
    #[must_use]
    pub const fn in_flight(mut self, calls: usize) -> Self {
        self.in_flight = Some(calls);
        self
    }

    /// Limits how long it is waited for, phase by phase. Limits that a request brings along go before. The limit of the first
    /// token is also that of a call of its embedder.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets when its circuit breaker opens, and for how long. Each member has a [`Breaker`](crate::Breaker), with the usual
    /// settings unless it has others, and its embedder another one of the same kind.
    #[must_use]
    pub const fn breaker(mut self, config: BreakerConfig) -> Self {
        self.breaker = config;
        self
    }

    /// Has it embed texts as well, for [`Pool::embedder`](crate::Pool::embedder). All embedders of a pool have the same
    /// [name](Embedder::name): vectors of different models cannot be compared.
    #[must_use]
    pub fn embedder(mut self, embedder: impl Embedder) -> Self {
        self.embedder = Some(Arc::new(embedder));
        self
    }

    /// Says what cannot be used of the settings.
    pub(super) fn faults(&self) -> Vec<InvalidInput> {
        let mut faults = Vec::new();
        let name = &self.name;
        let mut fault = |field, problem: &str| faults.push(InvalidInput::new(field, format!("of `{name}` {problem}")));
        if name.is_empty() {
            fault("name", "must not be empty");
        }
        if !is_weight(self.weight) {
            fault("weight", ABOVE_ZERO);
        }
        if !(self.cost.is_finite() && self.cost >= 0.0) {
            fault("cost", "must be a number, and not below zero");
        }
        if self.in_flight.is_some_and(|calls| calls == 0 || calls > Slots::MOST) {
            fault("in_flight", "must be above zero, and no more than there can be slots");
        }
        if self.serves.iter().any(String::is_empty) {
            fault("serves", "must be names");
        }
        faults
    }

    /// Puts the limits and the breaker around its embedder, when it is known what these are.
    pub(super) fn guarded(self) -> Self {
        let limits = self.timeouts.unwrap_or_default();
        let guarded =
            |embedder| -> Arc<dyn Embedder> { Arc::new(Guarded::new(&self.name, embedder, limits, self.breaker)) };
        Self { embedder: self.embedder.map(guarded), ..self }
    }

    pub(super) fn limit(&self) -> Option<NonZeroUsize> {
        self.in_flight.and_then(NonZeroUsize::new)
    }
}

/// What a weight must be.
pub(super) const ABOVE_ZERO: &str = "must be a number above zero";

pub(super) fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight > 0.0
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("worker", &self.worker.info())
            .field("weight", &self.weight)
            .field("cost", &self.cost)
            .field("serves", &self.serves)
            .finish_non_exhaustive()
    }
}
