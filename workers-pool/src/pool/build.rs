use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::InvalidInput;

use crate::policy::{PeakEwma, Policy};
use crate::pool::fleet::Fleet;
use crate::pool::handle::Pool;
use crate::pool::member::Member;

/// How often members are asked how they are, unless the builder says otherwise.
const HEALTH_EVERY: Duration = Duration::from_secs(5);

/// How many calls wait inside, unless the builder says otherwise.
const WAITING: usize = 64;

/// Puts a [`Pool`] together.
#[must_use = "nothing is built before `build`"]
pub struct PoolBuilder {
    name: String,
    members: Vec<Member>,
    policy: Arc<dyn Policy>,
    health_every: Option<Duration>,
    waiting: usize,
}

impl PoolBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            members: Vec::new(),
            policy: Arc::new(PeakEwma::default()),
            health_every: Some(HEALTH_EVERY),
            waiting: WAITING,
        }
    }

    /// Adds a member behind the others.
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Sets how a member is chosen; [`PeakEwma`] unless set.
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets how often members are asked [how they are](orchestrator_core::worker::ModelWorker::health), or that they are not;
    /// every five seconds unless set.
    pub fn health_every(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.health_every = every.into();
        self
    }

    /// Sets how many calls may wait inside for a member that has no slot free; 64 unless set. One more fails at once, as
    /// [`Overloaded`](orchestrator_core::error::WorkerErrorKind::Overloaded).
    ///
    /// Only where members are not alike, or behind a failure, a call waits there, and takes a place of its pipeline's stage
    /// from others while it does. Servers with different models are better in pools of their own.
    pub const fn waiting(mut self, most: usize) -> Self {
        self.waiting = most;
        self
    }

    /// Builds the pool; needs no runtime, its task starts with the first call.
    ///
    /// # Errors
    ///
    /// Names everything that cannot be used at once: no member, a name that two have, a weight that is not above zero,
    /// embedders whose vectors are not comparable.
    pub fn build(self) -> Result<Pool, BuildError> {
        let mut faults = Vec::new();
        if self.members.is_empty() {
            faults.push(InvalidInput::new("members", "must not be empty"));
        }
        if self.health_every.is_some_and(|every| every.is_zero()) {
            faults.push(InvalidInput::new("health_every", "must be above zero"));
        }
        let fleet = Fleet::new(self.name.clone(), self.health_every, self.waiting, self.policy);
        for member in self.members {
            faults.extend(fleet.add(member.guarded()).err().unwrap_or_default());
        }
        if faults.is_empty() { Ok(Pool::new(fleet)) } else { Err(BuildError { pool: self.name, faults }) }
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder").field("name", &self.name).field("members", &self.members).finish_non_exhaustive()
    }
}

/// A pool, or a member, that cannot be used, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    pool: String,
    faults: Vec<InvalidInput>,
}

impl BuildError {
    pub(super) fn new(pool: &str, faults: Vec<InvalidInput>) -> Self {
        Self { pool: pool.to_owned(), faults }
    }

    /// Returns every fault, in the order of the members.
    #[must_use]
    pub fn faults(&self) -> &[InvalidInput] {
        &self.faults
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool `{}` cannot be so: ", self.pool)?;
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}
