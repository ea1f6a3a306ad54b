//! The two workers as one, and a worker that acts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::pool::policy::Ordered;
use prompt_orchestrator::pool::{FailOver, Member, Pace, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockStats, MockWorker, Script};
use prompt_orchestrator::worker::{Timeouts, WorkerInfo};
use tokio::time::Instant;

use crate::common::{patient, prompts, slots};
use crate::story::Begun;

/// How many calls each of the two takes at once.
pub(crate) const SLOTS: usize = 8;

/// How long workers are waited for, and how far apart attempts are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) first_token: Duration,
    pub(crate) between_tokens: Duration,
    pub(crate) pace: Pace,
}

impl Limits {
    /// As a service may have them.
    pub(crate) fn in_life() -> Self {
        Self { first_token: Duration::from_secs(10), between_tokens: Duration::from_secs(5), pace: Pace::new() }
    }
}

/// A primary, a fallback, and all that stands around them.
pub(crate) struct Fleet {
    pub(crate) pool: Pool,
    pub(crate) worker: FailOver<Retry<Pool>>,
    pub(crate) pipeline: Pipeline<PromptRequest, Tokens>,
    /// Those of the members themselves, whatever their breakers offer of them.
    slots: [Slots; 2],
}

impl Fleet {
    /// Asks the primary as long as it can be asked. Callers wait at the door.
    pub(crate) fn of(primary: impl ModelWorker, fallback: impl ModelWorker, limits: Limits) -> Self {
        Self::behind(patient(), primary, fallback, limits)
    }

    /// The same, behind another door.
    pub(crate) fn behind(
        door: StageConfig,
        primary: impl ModelWorker,
        fallback: impl ModelWorker,
        limits: Limits,
    ) -> Self {
        let slots = [primary.slots(), fallback.slots()].map(|slots| slots.expect("every member has some"));
        let timeouts = Timeouts::none().first_token(limits.first_token).between_tokens(limits.between_tokens);
        let pool = Pool::builder("fleet")
            .member(Member::new("primary", primary).timeouts(timeouts))
            .member(Member::new("fallback", fallback).timeouts(timeouts))
            .policy(Ordered::new())
            .build()
            .expect("the members can be used");
        let worker = FailOver::new(Retry::new(pool.clone()).pace(limits.pace)).pace(limits.pace);
        let inference = InferenceStage::new(worker.clone());
        let pipeline = prompts("fleet").stage_with(inference, door).stage(StreamStage::default()).build();
        Self { pool, worker, pipeline: pipeline.expect("the stages fit"), slots }
    }

    /// Whether nobody holds a slot.
    pub(crate) fn is_idle(&self) -> bool {
        self.slots.iter().all(|slots| slots.free() == slots.total())
            && self.pool.stats().members.iter().all(|member| member.in_flight == 0)
    }
}

/// A scripted worker that says what it can do, and remembers when it was called.
#[derive(Clone)]
pub(crate) struct Actor {
    worker: MockWorker,
    info: WorkerInfo,
    called: Arc<Mutex<Vec<Instant>>>,
    refuses_begun: bool,
}

impl Actor {
    /// Does at each call, counted from zero, what `script` says.
    pub(crate) fn new(
        info: WorkerInfo,
        script: impl Fn(usize, &InferenceRequest) -> Script + Send + Sync + 'static,
    ) -> Self {
        let called = Arc::new(Mutex::new(Vec::<Instant>::new()));
        let log = called.clone();
        let worker = MockWorker::with(move |request| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push(Instant::now());
            script(log.len() - 1, request)
        });
        Self { worker: worker.slots(slots(SLOTS)), info, called, refuses_begun: false }
    }

    /// Says what it makes of answers that others began.
    pub(crate) fn begun(mut self, begun: Begun) -> Self {
        self.info.continues = begun != Begun::Cannot;
        self.refuses_begun = begun == Begun::Refuses;
        self
    }

    /// When it was called.
    pub(crate) fn called(&self) -> Vec<Instant> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn stats(&self) -> MockStats {
        self.worker.stats()
    }
}

#[async_trait]
impl ModelWorker for Actor {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.is_begun() && self.refuses_begun {
            self.called.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, "it takes no begun answers").with_status(400));
        }
        self.worker.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.info.clone()
    }

    fn slots(&self) -> Option<Slots> {
        ModelWorker::slots(&self.worker)
    }
}
