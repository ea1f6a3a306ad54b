//! Who is measured: the policies of the pipeline, and two that know none. All of them stand in front of the same server.
//!
//! The server is simulated: it sleeps for as long as the request is said to take. What takes the time at a real one is of
//! no concern to who decides whether a request gets a slot; how long it takes is.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::request::Size;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::ServiceExt as _;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower_service::Service;

use super::arrivals::Arrival;
use super::workload::Workload;

/// The contender with the policy of a stage that takes slots and is told no other.
pub(crate) const DEFAULT: &str = "predictive";

/// How a request ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It had its slot.
    Served(Turn),
    /// It was turned away at the door.
    Refused(&'static str),
    /// It was let in, and turned away later.
    Dropped(&'static str),
}

/// From when until when a request had a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// A way to let requests in, or not.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Policy(StageConfig),
    LoadShed,
    Unbounded,
}

impl Contender {
    /// All of them, set up for the workload. The first has the policy that a stage with slots has unless told otherwise, and
    /// its times, scaled; a depth like the others'.
    pub(crate) fn all(workload: &Workload) -> Vec<Self> {
        // As many as leave a queue within the longest useful wait on average.
        let short = (workload.max_wait * workload.slots as f64 / workload.mean) as usize;
        let queue = |policy| StageConfig::new().depth(16 * short).shed(policy);
        let max_wait = workload.time(workload.max_wait);
        let default = StageConfig::new().depth(16 * short).max_wait(max_wait).expected(workload.time(1.0));
        let codel = ShedPolicy::CoDel(CoDel::new(max_wait / 4, max_wait / 2));
        vec![
            Self::policy(DEFAULT, default),
            Self::policy("codel", queue(codel)),
            Self::policy("longest wait", queue(ShedPolicy::Backpressure).max_wait(max_wait)),
            Self::policy("reject-new, short", queue(ShedPolicy::RejectNew).depth(short)),
            Self::policy("reject-new", queue(ShedPolicy::RejectNew)),
            Self::policy("drop-oldest", queue(ShedPolicy::DropOldest)),
            Self::policy("backpressure", queue(ShedPolicy::Backpressure)),
            Self { name: "tower load-shed", kind: Kind::LoadShed },
            Self { name: "unbounded", kind: Kind::Unbounded },
        ]
    }

    /// A pipeline of one stage placed as `config` says, which takes a slot per request.
    fn policy(name: &'static str, config: StageConfig) -> Self {
        Self { name, kind: Kind::Policy(config) }
    }

    /// Puts it in front of a server of its own with as many slots as the workload says.
    pub(crate) fn open(&self, workload: &Workload) -> Result<Door, BuildError> {
        let slots = workload.slots;
        Ok(match &self.kind {
            Kind::Policy(config) => {
                let total = slots.try_into().expect("every workload has slots");
                let config = config.clone().slots(Slots::new(total));
                Door::Policy(Pipeline::builder("surge").stage_with(Server, config).build()?)
            }
            Kind::LoadShed => Door::LoadShed(LoadShed::new(ConcurrencyLimit::new(Server, slots))),
            Kind::Unbounded => Door::Unbounded(Arc::new(Semaphore::new(slots))),
        })
    }
}

/// What requests are sent through.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Policy(Pipeline<Job, Turn>),
    LoadShed(LoadShed<ConcurrencyLimit<Server>>),
    Unbounded(Arc<Semaphore>),
}

impl Door {
    /// Sends one request, and tells how it ended.
    pub(crate) async fn send(&self, arrival: Arrival) -> End {
        match self {
            Self::Policy(pipeline) => submit(pipeline, Job(arrival)).await,
            Self::LoadShed(service) => match service.clone().oneshot(arrival.service).await {
                Ok(turn) => End::Served(turn),
                Err(_) => End::Refused("overloaded"),
            },
            Self::Unbounded(slots) => {
                let _slot = slots.acquire().await.expect("never closed");
                End::Served(serve(arrival.service).await)
            }
        }
    }
}

async fn submit(pipeline: &Pipeline<Job, Turn>, job: Job) -> End {
    let mut answer = match pipeline.submit(job).await {
        Ok(answer) => answer,
        Err(error) => return turned_away(&error),
    };
    match answer.output().await {
        Ok(turn) => End::Served(turn),
        Err(error) => turned_away(&error),
    }
}

fn turned_away(error: &Error) -> End {
    match error.kind() {
        ErrorKind::Refused(reason) => End::Refused(reason.as_str()),
        ErrorKind::Shed(reason) => End::Dropped(reason.as_str()),
        _ => End::Dropped("failed"),
    }
}

/// What a pipeline is asked for.
#[derive(Debug)]
pub(crate) struct Job(Arrival);

impl Input for Job {
    fn take_options(&mut self) -> RequestOptions {
        let mut options = RequestOptions::new().priority(self.0.priority);
        options.tenant = self.0.tenant.take().filter(|_| self.0.named);
        options
    }

    fn size(&self) -> Size {
        self.0.told.map_or(Size::Unknown, Size::Time)
    }
}

/// The simulated server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server;

impl Stage<Job> for Server {
    type Out = Turn;
    type Error = Infallible;

    async fn run(&self, _cx: &Context, job: Job) -> Result<Turn, Infallible> {
        Ok(serve(job.0.service).await)
    }
}

impl Service<Duration> for Server {
    type Response = Turn;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Turn, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, service: Duration) -> Self::Future {
        Box::pin(async move { Ok(serve(service).await) })
    }
}

/// Keeps the slot that the caller has taken for as long as the request takes.
async fn serve(service: Duration) -> Turn {
    let from = Instant::now();
    tokio::time::sleep_until(from + service).await;
    Turn { from, to: Instant::now() }
}
