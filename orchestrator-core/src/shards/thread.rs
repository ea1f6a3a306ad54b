use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use core_affinity::CoreId;
use futures_util::future::{pending, select};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::error::{BuildError, Fault};
use crate::pipeline::Pipeline;
use crate::request::Input;
use crate::runtime::shared::Shared;
use crate::shards::cores::pin;
use crate::shards::here::{self, Here};
use crate::shards::session::{Inside, SessionState, States};

/// What a shard's thread is started with, beside what makes its pipeline.
pub(super) struct Plan {
    /// The number of the set.
    pub(super) set: u64,
    pub(super) shard: usize,
    pub(super) core: Option<CoreId>,
    pub(super) session_state: Option<SessionState>,
}

/// A shard from outside: its pipeline, and its thread, which ends after this has been dropped.
pub(super) struct Shard<In, Out> {
    pub(super) pipeline: Pipeline<In, Out>,
    pub(super) runtime: Handle,
    /// The tasks that were spawned on it.
    pub(super) tasks: TaskTracker,
    /// The sessions that have requests inside; `None` where sessions keep no state.
    pub(super) inside: Option<Arc<Inside>>,
    pub(super) life: Life,
    /// Whether the thread runs on one core only.
    pub(super) pinned: bool,
    _last: DropGuard,
}

/// How a shard's thread is told to end, and tells that it has.
#[derive(Clone, Default)]
pub(super) struct Life {
    /// End when nothing is inside any more.
    pub(super) stop: CancellationToken,
    /// End now.
    pub(super) kill: CancellationToken,
    /// Nothing of the shard is left.
    pub(super) gone: CancellationToken,
}

/// Why a shard did not start.
pub(super) enum Failure {
    Build(BuildError),
    Fault(Fault),
    Panic(Box<dyn Any + Send>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Fault(Fault::new(None, "shards", format!("need a thread each, and the system refused: {error}")))
    }
}

pub(super) type Started<In, Out> = Result<Shard<In, Out>, Failure>;

/// A thread that has yet to tell how it started.
pub(super) type Starting<In, Out> = Result<Receiver<Started<In, Out>>, Failure>;

/// Starts a shard's thread, which has `make` make the pipeline; the thread says how that went.
pub(super) fn start<In, Out, F>(plan: Plan, make: Arc<F>) -> Starting<In, Out>
where
    In: Input,
    Out: Send + 'static,
    F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError> + Send + Sync + 'static,
{
    let (sender, started) = sync_channel(1);
    thread::Builder::new().name(name(plan.shard)).spawn(move || run(plan, make, sender))?;
    Ok(started)
}

/// The whole life of a shard's thread.
fn run<In, Out, F>(plan: Plan, make: Arc<F>, started: SyncSender<Started<In, Out>>)
where
    In: Input,
    Out: Send + 'static,
    F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError>,
{
    let life = Life::default();
    let _gone = life.gone.clone().drop_guard();
    let opened = open(plan, &*make, life);
    drop(make);
    let (shard, inner) = match opened {
        Ok((shard, inner)) => (Ok(shard), Some(inner)),
        Err(failure) => (Err(failure), None),
    };
    // Nobody there: a shard that nobody holds ends at once.
    drop(started.send(shard));
    drop(started);
    if let Some(inner) = inner {
        inner.runtime.block_on(inner.live());
        inner.end();
    }
}

/// A shard from inside.
struct Inner {
    runtime: Runtime,
    pipeline: Arc<Shared>,
    tasks: TaskTracker,
    states: Option<Rc<States>>,
    life: Life,
}

/// Makes the calling thread a shard.
fn open<In, Out, F>(plan: Plan, make: &F, life: Life) -> Result<(Shard<In, Out>, Inner), Failure>
where
    In: Input,
    Out: Send + 'static,
    F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError>,
{
    let pinned = pin(plan.core);
    let runtime = Builder::new_current_thread().enable_all().thread_name(name(plan.shard)).build()?;
    let inside = plan.session_state.is_some().then(Arc::<Inside>::default);
    let states = plan.session_state.zip(inside.clone()).map(|(limits, inside)| Rc::new(States::new(limits, inside)));
    let pipeline = make_here(&runtime, plan.shard, make)?;
    let shared = pipeline.shared().clone();
    here::set(Some(Here { set: plan.set, shard: plan.shard, pipeline: shared.clone(), states: states.clone() }));
    let tasks = TaskTracker::new();
    let inner = Inner { pipeline: shared, tasks: tasks.clone(), states, life: life.clone(), runtime };
    let runtime = inner.runtime.handle().clone();
    let last = life.stop.clone().drop_guard();
    Ok((Shard { pipeline, runtime, tasks, inside, life, pinned, _last: last }, inner))
}

/// Has a pipeline made and started on the shard's runtime.
///
/// Within a `block_on`, so that one inside of `make`, whose timers and sockets nobody would drive, panics and does not hang.
fn make_here<In, Out, F>(runtime: &Runtime, shard: usize, make: &F) -> Result<Pipeline<In, Out>, Failure>
where
    In: Input,
    Out: Send + 'static,
    F: Fn(usize) -> Result<Pipeline<In, Out>, BuildError>,
{
    runtime.block_on(async {
        let made = catch_unwind(AssertUnwindSafe(|| make(shard))).map_err(Failure::Panic)?;
        let pipeline = made.map_err(Failure::Build)?;
        if pipeline.start_here() {
            return Ok(pipeline);
        }
        Err(Failure::Fault(Fault::new(None, "pipeline", "must be made anew for each shard")))
    })
}

impl Inner {
    /// Runs what is spawned on the shard until nothing is inside and nobody holds it, or until it is to end at once.
    async fn live(&self) {
        let idle = async {
            self.life.stop.cancelled().await;
            self.pipeline.tracker.wait().await;
            // Last, as more are spawned while requests are inside, and by the tasks themselves.
            self.tasks.close();
            while !self.tasks.is_empty() {
                self.tasks.wait().await;
            }
        };
        let swept = async {
            match &self.states {
                Some(states) => states.sweep().await,
                None => pending().await,
            }
        };
        let (idle, killed, swept) = (pin!(idle), pin!(self.life.kill.cancelled()), pin!(swept));
        select(select(idle, killed), swept).await;
    }

    /// Drops what is left, tasks first: these may still use the state of sessions.
    fn end(self) {
        // Jobs that block and have started are waited for by nobody.
        self.runtime.shutdown_background();
        here::set(None);
        if let Some(states) = self.states {
            states.clear();
        }
    }
}

fn name(shard: usize) -> String {
    format!("shard-{shard}")
}
