use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::ModelWorker;
use workers_pool::{Pool, RetryMeter};

use super::embed::EmbedPlan;
use super::parts::Inner;
use super::retrieval::Shelves;
use super::route::{Fleet, Route, Routed};
use super::{ConnectError, rate};
use crate::file::{self, Config, Infer, Stage};

/// What a model is made of; pipelines by their numbers.
pub(super) struct ModelPlan {
    pub(super) name: String,
    pub(super) upstream: Option<Arc<str>>,
    pub(super) deadline: Option<Duration>,
    pub(super) chat: Option<usize>,
    pub(super) embeddings: Option<usize>,
    /// The pool that embeds, where it is one.
    pub(super) embeds: Option<Pool>,
}

/// What a pipeline of prompts is built of.
pub(super) struct ChatPlan {
    pub(super) name: String,
    pub(super) stages: Vec<Stage>,
    pub(super) worker: Arc<dyn ModelWorker>,
    /// Who is asked, where that is a pool.
    pub(super) pool: Option<Pool>,
}

/// Plans while they are made.
#[derive(Default)]
pub(super) struct Plans {
    models: Vec<ModelPlan>,
    chats: Vec<ChatPlan>,
    embeddings: Vec<EmbedPlan>,
    pools: Vec<(Arc<str>, Pool)>,
    /// What tells of attempts, by the pipelines in which they are made.
    retries: Vec<(Arc<str>, RetryMeter)>,
    /// Which pipeline runs these stages this way.
    known: HashMap<(Base, Route), usize>,
}

/// Whose stages a model has: a pipeline and a worker may have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Base {
    Pipeline(String),
    Worker(String),
}

impl Base {
    fn name(&self) -> &str {
        match self {
            Self::Pipeline(name) | Self::Worker(name) => name,
        }
    }
}

impl Plans {
    /// Plans every model that is offered.
    pub(super) fn of(mut self, fleet: &Fleet<'_>) -> Result<Self, ConnectError> {
        let models = fleet.config.offered();
        for model in &models {
            let pipeline = model.pipeline.as_ref().and_then(|name| fleet.config.pipelines.get(name));
            let upstream = model.upstream.as_deref().map(Arc::from);
            let chat = self.chat(model, &models, fleet)?;
            let embeddings = model.embeddings.as_deref().and_then(|name| self.embeddings(name, fleet));
            let deadline = model.deadline.or_else(|| pipeline?.deadline).map(Duration::from);
            let embeds = model.embeddings.as_ref().and_then(|name| fleet.pools.get(name)).cloned();
            self.models.push(ModelPlan { name: model.name.clone(), upstream, deadline, chat, embeddings, embeds });
        }
        Ok(self)
    }

    fn chat(
        &mut self,
        model: &file::Model,
        models: &[file::Model],
        fleet: &Fleet<'_>,
    ) -> Result<Option<usize>, ConnectError> {
        let Some(route) = Route::of(model, models, fleet.config) else { return Ok(None) };
        let (base, stages) = stages(model, fleet.config);
        let key = (base, route);
        if let Some(number) = self.known.get(&key) {
            return Ok(Some(*number));
        }
        let Some(Routed { worker, pool, retries }) = fleet.worker(&key.1)? else { return Ok(None) };
        let asked = pool.as_ref().or_else(|| fleet.pools.get(key.1.first())).cloned();
        self.pools.extend(pool.map(|pool| (Arc::from(pool_name(&model.name)), pool)));
        let name = self.free_name(key.0.name(), &model.name);
        self.retries.extend(retries.map(|retries| (Arc::from(&*name), retries)));
        self.chats.push(ChatPlan { name, stages, worker, pool: asked });
        self.known.insert(key, self.chats.len() - 1);
        Ok(Some(self.chats.len() - 1))
    }

    /// What a further pipeline is called, by which metrics tell it from all others.
    fn free_name(&self, base: &str, model: &str) -> String {
        let is_free = |name: &String| !self.chats.iter().any(|plan| plan.name == *name);
        let of_model = format!("{base}/{model}");
        let numbered = (2_usize..).map(|number| format!("{base}/{model}-{number}"));
        let mut names = [base.to_owned(), of_model].into_iter().chain(numbered);
        names.find(is_free).expect("there are more numbers than pipelines")
    }

    fn embeddings(&mut self, worker: &str, fleet: &Fleet<'_>) -> Option<usize> {
        let name = format!("{worker}/embeddings");
        if let Some(number) = self.embeddings.iter().position(|plan| *plan.name == *name) {
            return Some(number);
        }
        let embedder = embedder(worker, fleet)?;
        self.embeddings.push(EmbedPlan { name: name.into(), embedder });
        Some(self.embeddings.len() - 1)
    }

    /// Keeps what the pipelines will be built of.
    pub(super) fn finish(self, fleet: &Fleet<'_>, shelves: Shelves) -> Inner {
        let named = fleet.pools.iter().map(|(name, pool)| (Arc::from(name.as_str()), pool.clone()));
        Inner {
            models: self.models,
            chats: self.chats,
            embeddings: self.embeddings,
            pools: named.chain(self.pools).collect(),
            retries: self.retries.into(),
            shelves,
            tenants: rate::tenants(fleet.config),
            reader_stall: fleet.config.limits.reader_stall.into(),
        }
    }
}

/// What a pool of a model and its fallbacks is called.
fn pool_name(model: &str) -> String {
    format!("{model}/fallbacks")
}

/// The stages of a model, and whose they are: those of the file's pipeline, or else the plain ones of the worker.
fn stages(model: &file::Model, config: &Config) -> (Base, Vec<Stage>) {
    match (&model.pipeline, &model.worker) {
        (Some(name), _) => {
            let pipeline = config.pipelines.get(name);
            (Base::Pipeline(name.clone()), pipeline.map(|pipeline| pipeline.stages.clone()).unwrap_or_default())
        }
        (None, worker) => {
            let worker = worker.clone().unwrap_or_default();
            (Base::Worker(worker.clone()), vec![Stage::Infer(Infer { worker, queue: None })])
        }
    }
}

fn embedder(name: &str, fleet: &Fleet<'_>) -> Option<Arc<dyn Embedder>> {
    match fleet.pools.get(name) {
        Some(pool) => Some(Arc::new(pool.embedder()?)),
        None => fleet.workers.get(name)?.embedder.clone(),
    }
}
