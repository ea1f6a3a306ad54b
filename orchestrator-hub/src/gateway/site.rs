use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orchestrator_config::file::Limits;
use orchestrator_config::{Embeddings, Model, ModelName, Service, Texts};
use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::{PromptRequest, RequestOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use workers_pool::{BreakerState, MemberState, MemberStats};

use crate::fault::Fault;
use crate::gateway::Caller;
use crate::openai;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Site(Arc<Inner>);

struct Inner {
    service: Service,
    limits: Limits,
    /// Bytes of bodies that there may still be.
    room: Arc<Semaphore>,
    is_draining: AtomicBool,
    /// Nothing is waited for any more.
    over: CancellationToken,
}

impl Site {
    pub(super) fn new(service: Service, limits: Limits) -> Self {
        let room = Arc::new(Semaphore::new(limits.bodies.get().min(Semaphore::MAX_PERMITS)));
        let over = CancellationToken::new();
        Self(Arc::new(Inner { service, limits, room, is_draining: AtomicBool::new(false), over }))
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Returns whether the service takes nothing more.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Release);
    }

    /// Has what clients still send not be waited for.
    pub(super) fn end(&self) {
        self.0.over.cancel();
    }

    /// Waits for something that a client sends; `None` where the service ends before.
    pub(super) async fn until_over<T>(&self, sent: impl Future<Output = T>) -> Option<T> {
        self.0.over.run_until_cancelled(sent).await
    }

    /// Returns room for so many bytes of a body, until it is dropped; `None` where the bodies of others take it.
    pub(super) fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.0.room.clone().try_acquire_many_owned(bytes.try_into().ok()?).ok()
    }

    /// Returns whether any model is served: by a member of its pool that takes requests, or by a server of its own, of which
    /// nothing is known until it is asked.
    pub(super) fn is_served(&self) -> bool {
        let takes = |member: &MemberStats| {
            let is_tried = match member.breaker.state {
                // A server that may be asked to show that it is well again needs requests for that.
                BreakerState::Open { probe_at } => probe_at <= Instant::now(),
                _ => true,
            };
            member.state == MemberState::Serving && is_tried
        };
        let is_served = |model: &Model| model.pool.as_ref().is_none_or(|pool| pool.stats().members.iter().any(takes));
        let models = &self.service().models;
        models.is_empty() || models.iter().any(is_served)
    }

    /// Finds what answers prompts for a model.
    ///
    /// # Errors
    ///
    /// Where no such model is there, or it only embeds.
    pub(crate) fn chat_model<'a>(&'a self, asked: &'a str) -> Result<ChatModel<'a>, Fault> {
        let model = self.service().model(asked).ok_or_else(|| openai::unknown(asked))?;
        let Some(pipeline) = &model.chat else {
            return Err(Fault::invalid("model", format!("the model `{asked}` does not generate text")));
        };
        Ok(ChatModel { asked, model, pipeline })
    }

    /// Finds what embeds texts for a model.
    ///
    /// # Errors
    ///
    /// Where no such model is there, or it only generates text.
    pub(crate) fn embedding_model<'a>(&'a self, asked: &'a str) -> Result<EmbeddingModel<'a>, Fault> {
        let model = self.service().model(asked).ok_or_else(|| openai::unknown(asked))?;
        let Some(pipeline) = &model.embeddings else {
            return Err(Fault::invalid("model", format!("the model `{asked}` does not embed texts")));
        };
        Ok(EmbeddingModel { asked, model, pipeline })
    }
}

/// What a model is called at the server behind.
fn upstream(model: &Model, asked: &str) -> Arc<str> {
    match (&model.upstream, &model.name) {
        (Some(upstream), _) => upstream.clone(),
        (None, ModelName::Exact(name)) => name.clone(),
        (None, ModelName::Pattern { .. }) => asked.into(),
    }
}

/// How a request is to be treated.
fn options(model: &Model, caller: &Caller, user: Option<&str>) -> RequestOptions {
    let options = caller.options(user);
    match model.deadline {
        Some(deadline) => options.within(deadline),
        None => options,
    }
}

/// A model that embeds texts, as it was asked for.
pub(crate) struct EmbeddingModel<'a> {
    asked: &'a str,
    model: &'a Model,
    pipeline: &'a Pipeline<Texts, Embeddings>,
}

impl EmbeddingModel<'_> {
    /// Has texts embedded on behalf of a caller.
    ///
    /// # Errors
    ///
    /// Says why they were not.
    pub(crate) async fn embed(&self, texts: Texts, caller: &Caller, user: Option<&str>) -> Result<Embeddings, Fault> {
        caller.asks_for(self.asked);
        let mut answer = self.pipeline.submit_with(texts, options(self.model, caller, user)).await?;
        Ok(answer.output().await?)
    }

    /// Returns the name of what embeds.
    pub(crate) fn shown(&self) -> Arc<str> {
        upstream(self.model, self.asked)
    }
}

/// A model that answers prompts, as it was asked for.
pub(crate) struct ChatModel<'a> {
    asked: &'a str,
    model: &'a Model,
    pipeline: &'a Pipeline<PromptRequest, Tokens>,
}

impl ChatModel<'_> {
    /// Submits a prompt on behalf of a caller.
    ///
    /// # Errors
    ///
    /// Says why it was not let in.
    pub(crate) async fn submit(
        &self,
        prompt: PromptRequest,
        caller: &Caller,
        user: Option<&str>,
    ) -> Result<Answer<Tokens>, Fault> {
        caller.asks_for(self.asked);
        let prompt = prompt.model(upstream(self.model, self.asked));
        Ok(self.pipeline.submit_with(prompt, options(self.model, caller, user)).await?)
    }

    /// Returns the name under which it answers, as far as that is known before it does.
    pub(crate) fn shown(&self) -> String {
        upstream(self.model, self.asked).to_string()
    }
}
