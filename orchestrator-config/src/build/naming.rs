use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};

/// By which name a model is asked for at its server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Naming {
    /// By the one that its client has asked for.
    AsAsked,
    /// By none: the worker asks for its own.
    Own,
    /// By this one.
    Upstream(Arc<str>),
}

/// A worker that is asked for its model by another name than the request's.
pub(super) struct Named {
    worker: Arc<dyn ModelWorker>,
    naming: Naming,
}

impl Named {
    pub(super) const fn new(worker: Arc<dyn ModelWorker>, naming: Naming) -> Self {
        Self { worker, naming }
    }
}

#[async_trait]
impl ModelWorker for Named {
    async fn infer(&self, mut request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        request.model = match &self.naming {
            Naming::Own => None,
            Naming::Upstream(name) => Some(name.clone()),
            Naming::AsAsked => request.context.get::<Asked>().and_then(|asked| asked.0.clone()).or(request.model),
        };
        self.worker.infer(request).await
    }

    /// That of the worker, which answers with the model that it is asked for.
    fn info(&self) -> WorkerInfo {
        let info = self.worker.info();
        match &self.naming {
            Naming::Upstream(name) => info.model(&**name),
            Naming::AsAsked | Naming::Own => info,
        }
    }

    fn slots(&self) -> Option<Slots> {
        self.worker.slots()
    }

    async fn health(&self) -> Health {
        self.worker.health().await
    }
}

/// The name that a request came with, kept while it looks for somebody who answers.
struct Asked(Option<Arc<str>>);

/// A pool of workers that each have a name of their own for what is asked: the name is taken out of the request, or the pool
/// would look for members that have it, and kept for those that want it as it was.
pub(super) struct Unnamed<W>(pub(super) W);

#[async_trait]
impl<W: ModelWorker> ModelWorker for Unnamed<W> {
    async fn infer(&self, mut request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        request.context.insert(Asked(request.model.take()));
        self.0.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.0.info()
    }

    fn slots(&self) -> Option<Slots> {
        self.0.slots()
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}
