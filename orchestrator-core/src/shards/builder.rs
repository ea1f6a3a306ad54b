use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::context::start_cpu_pool;
use crate::error::{BuildError, Fault};
use crate::pipeline::Pipeline;
use crate::request::Input;
use crate::shards::cores::{self, Cores};
use crate::shards::thread::{self, Failure, Plan, Shard, Started, Starting};
use crate::shards::{SessionState, Shards};

/// The most shards that there can be. Each is a thread, and more than there are cores serve nobody.
const MOST: usize = 1_024;

/// Puts shards together; made by [`Shards::of`] and [`Shards::per_core`].
///
/// What is wrong with any setting, [`build`](Self::build) says.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ShardsBuilder {
    shards: usize,
    spill_over: Option<f64>,
    session_state: Option<SessionState>,
    pinned: bool,
}

impl ShardsBuilder {
    pub(super) fn new(shards: usize) -> Self {
        Self { shards, spill_over: None, session_state: None, pinned: true }
    }

    pub(super) fn per_core() -> Self {
        Self::new(cores::available().min(MOST))
    }

    /// Lets a request run elsewhere while its home shard is overloaded; at least 1.
    ///
    /// A shard is overloaded while it has more than `factor` times as many requests inside as the shards have on average,
    /// and more than 32. Then the request goes to the next shard in its session's ranking that is not. So no shard holds
    /// up its sessions while others are idle, and requests of one session may overtake each other. 1.25 is a good
    /// beginning.
    ///
    /// Not for pipelines with [session state](Self::session_state), which is at home only.
    pub const fn spill_over(mut self, factor: f64) -> Self {
        self.spill_over = Some(factor);
        self
    }

    /// Lets sessions keep state on their home shard, for
    /// [`Context::session_state`](crate::context::Context::session_state).
    pub const fn session_state(mut self, limits: SessionState) -> Self {
        self.session_state = Some(limits);
        self
    }

    /// Leaves it to the system on which cores the threads of the shards run.
    ///
    /// For a machine that several processes share: each would pin its shards to the same cores, the first of those that it
    /// may use. Giving each process cores of its own, as `taskset` and cpusets do, is better; then the shards are pinned
    /// within those.
    pub const fn unpinned(mut self) -> Self {
        self.pinned = false;
        self
    }

    /// Starts the shards; `make` is called once on each, with its number, and makes the shard's pipeline.
    ///
    /// All pipelines are of one name and the same stages. They start at once, so a recorder of metrics is installed before.
    /// Blocks for as long as starting the threads and `make` take, which together run on all shards at the same time.
    ///
    /// What is to be shared by all shards is made before and cloned in `make`: indexes, workers, and
    /// [`Slots`](crate::worker::Slots). Where the platform does not pin threads, or has fewer cores than there are shards,
    /// it says so in a warning, and the shards run all the same.
    ///
    /// # Errors
    ///
    /// Reports every fault of the settings and of the pipelines at once. Where the number of shards is at fault, `make` is
    /// called once, for what is wrong with its pipeline.
    ///
    /// # Panics
    ///
    /// A panic of `make` goes on here. It runs on the shard's own runtime and cannot block on a future there: Tokio's
    /// `block_on` panics. What is to be awaited is awaited before.
    pub fn build<In, Out, F>(self, make: F) -> Result<Shards<In, Out>, BuildError>
    where
        In: Input,
        Out: Send + 'static,
        F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError> + Send + Sync + 'static,
    {
        // Before any thread is pinned: what a pinned thread starts is pinned too.
        start_cpu_pool();
        let set = next_set();
        let cores = self.pinned.then(Cores::of_this_thread);
        let mut faults = self.check();
        let mut errors = Vec::new();
        let mut shards = Vec::new();
        for started in self.start(set, cores.as_ref(), make) {
            match started {
                Ok(shard) => shards.push(shard),
                Err(Failure::Build(error)) => errors.push(error),
                Err(Failure::Fault(fault)) => faults.push(fault),
                Err(Failure::Panic(panic)) => resume_unwind(panic),
            }
        }
        check_alike(&shards, &mut faults);
        if !faults.is_empty() || !errors.is_empty() {
            return Err(BuildError::of_shards(faults, errors));
        }
        if let Some(cores) = cores {
            cores.warn(shards.len(), shards.iter().filter(|shard| shard.pinned).count());
        }
        Ok(Shards::new(set, shards, self.spill_over))
    }

    /// Starts all threads, then waits for each to say how that went.
    fn start<In, Out, F>(&self, set: u64, cores: Option<&Cores>, make: F) -> Vec<Started<In, Out>>
    where
        In: Input,
        Out: Send + 'static,
        F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let start = |shard| {
            let core = cores.and_then(|cores| cores.of_shard(shard));
            let plan = Plan { set, shard, core, session_state: self.session_state.clone() };
            thread::start(plan, make.clone())
        };
        // One for the faults of its pipeline, where their number is no good.
        let shards = if self.check_number().is_none() { self.shards } else { 1 };
        let starting: Vec<_> = (0..shards).map(start).collect();
        let told = |starting: Starting<In, Out>| starting?.recv().expect("a shard's thread tells how it started");
        starting.into_iter().map(told).collect()
    }

    /// Says what is wrong with the settings.
    fn check(&self) -> Vec<Fault> {
        let mut faults: Vec<_> = self.check_number().into_iter().collect();
        if let Some(factor) = self.spill_over {
            if factor.is_nan() || factor < 1.0 {
                faults.push(Fault::new(None, "spill_over", "must be at least 1"));
            }
            if self.session_state.is_some() {
                faults.push(Fault::new(None, "spill_over", "does not go with session state, which is at home only"));
            }
        }
        if let Some(limits) = &self.session_state {
            limits.check(&mut faults);
        }
        faults
    }

    /// Says what is wrong with the number of shards.
    fn check_number(&self) -> Option<Fault> {
        let problem = match self.shards {
            0 => "must be at least 1".to_owned(),
            1..=MOST => return None,
            _ => format!("must be at most {MOST}"),
        };
        Some(Fault::new(None, "shards", problem))
    }
}

/// A number for each set of shards of this process.
fn next_set() -> u64 {
    static SETS: AtomicU64 = AtomicU64::new(0);
    SETS.fetch_add(1, Ordering::Relaxed)
}

/// Statistics are added up stage by stage, so that the stages have to be the same.
fn check_alike<In, Out>(shards: &[Shard<In, Out>], faults: &mut Vec<Fault>)
where
    In: Input,
    Out: Send + 'static,
{
    let shape = |shard: &Shard<In, Out>| {
        let shared = shard.pipeline.shared();
        (shared.name.clone(), shared.stages.iter().map(|stage| stage.name.clone()).collect::<Vec<_>>())
    };
    let mut shapes = shards.iter().map(shape);
    let first = shapes.next();
    if shapes.any(|shape| Some(shape) != first) {
        faults.push(Fault::new(None, "pipeline", "must have the same name and the same stages on every shard"));
    }
}
