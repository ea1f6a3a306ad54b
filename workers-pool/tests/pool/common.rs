use std::num::NonZeroUsize;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::Finish;
use orchestrator_core::worker::{Health, Slots};
use workers_pool::{Member, MemberStats, Pool};

/// A worker of a test, with what it says of itself.
#[derive(Clone)]
pub(crate) struct Told<W> {
    pub(crate) worker: W,
    pub(crate) info: WorkerInfo,
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Told<W> {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.worker.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.info.clone()
    }

    fn slots(&self) -> Option<Slots> {
        self.worker.slots()
    }

    async fn health(&self) -> Health {
        self.worker.health().await
    }
}

pub(crate) fn told(info: WorkerInfo) -> Told<MockWorker> {
    Told { worker: MockWorker::new(Script::answering("to be")), info }
}

pub(crate) fn slots(count: usize) -> Slots {
    Slots::new(NonZeroUsize::new(count).expect("not zero"))
}

pub(crate) fn answers(text: &str) -> MockWorker {
    MockWorker::new(Script::answering(text))
}

/// A worker whose streams stay open behind their first event.
pub(crate) fn holds() -> MockWorker {
    MockWorker::new(Script::new().streaming().text("t").hang())
}

pub(crate) fn fails(kind: WorkerErrorKind) -> MockWorker {
    MockWorker::new(Script::new().fail(WorkerError::new(kind, "it fails")))
}

pub(crate) fn pool(members: impl IntoIterator<Item = Member>) -> Pool {
    let builder = Pool::builder("fleet").health_every(None);
    members.into_iter().fold(builder, |builder, member| builder.member(member)).build().expect("it is whole")
}

pub(crate) fn request() -> InferenceRequest {
    of(PromptRequest::new("?"))
}

pub(crate) fn of(prompt: PromptRequest) -> InferenceRequest {
    InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()))
}

/// Reads an answer to its end.
pub(crate) async fn finish(pool: &impl ModelWorker, request: InferenceRequest) -> Result<Finish, WorkerError> {
    let mut stream = pool.infer(request).await?;
    loop {
        match stream.next().await {
            Some(Ok(TokenEvent::Finish(finish))) => return Ok(finish),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Err(WorkerError::stream_cut()),
        }
    }
}

/// Who answers.
pub(crate) async fn who(pool: &impl ModelWorker, request: InferenceRequest) -> Result<String, WorkerError> {
    finish(pool, request).await.map(|finish| finish.origin.expect("the pool names it").worker)
}

pub(crate) fn member(pool: &Pool, name: &str) -> MemberStats {
    pool.stats().members.into_iter().find(|member| member.name == name).expect("it is in the pool")
}
