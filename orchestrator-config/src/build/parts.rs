use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use orchestrator_core::answer::Tokens;
use orchestrator_core::error::BuildError;
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::PromptRequest;
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::tenants::Tenants;
use orchestrator_core::worker::{ModelWorker, Slots};
use stages_rag::Bm25Index;
use workers_pool::Pool;

use super::chain::{self, Source};
use super::embed::EmbedPlan;
use super::retrieval::{self, Shelves};
use super::route::{Fleet, Route};
use super::workers::{self, Connected};
use super::{ConnectError, pools, rate};
use crate::file::{self, Config, Infer, Stage};
use crate::service::{Model, Service};

/// What of a service there is once, whatever the number of cores: workers, pools, indexes, and what tenants have used.
///
/// Cheap to clone. To be kept as long as the service runs: indexes no longer follow their folders when the last clone is gone.
#[derive(Clone)]
pub struct Parts(Arc<Inner>);

struct Inner {
    models: Vec<ModelPlan>,
    chats: Vec<ChatPlan>,
    embeddings: Vec<EmbedPlan>,
    pools: Vec<(Arc<str>, Pool)>,
    shelves: Shelves,
    tenants: Tenants,
    reader_stall: Duration,
}

/// What a model is made of; pipelines by their numbers.
struct ModelPlan {
    name: String,
    upstream: Option<Arc<str>>,
    deadline: Option<Duration>,
    chat: Option<usize>,
    embeddings: Option<usize>,
}

/// What a pipeline of prompts is built of.
struct ChatPlan {
    name: String,
    stages: Vec<Stage>,
    worker: Arc<dyn ModelWorker>,
}

impl Parts {
    /// Makes workers, pools and indexes of a configuration.
    ///
    /// A llama.cpp, a vLLM or a server of unknown kind that does not answer keeps nobody waiting: requests for it are refused as
    /// for one that is down, and it is asked again every few seconds until it is there. Servers of other kinds are not asked
    /// anything. Folders of documents are read before this returns.
    ///
    /// # Errors
    ///
    /// Fails where the configuration was not checked and has faults, where a folder or an index on disk cannot be used, and where
    /// settings cannot be used with the server that answers.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun ends.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        config.check()?;
        let named = config
            .workers
            .iter()
            .map(async |(name, worker)| Ok::<_, ConnectError>((name.clone(), workers::connect(name, worker).await?)));
        let workers: BTreeMap<String, Connected> = try_join_all(named).await?.into_iter().collect();
        let shelves = retrieval::open(config).await?;
        let mut pools = BTreeMap::new();
        for (name, settings) in &config.pools {
            pools.insert(name.clone(), pools::pool(name, settings, &workers)?);
        }
        let fleet = Fleet { config, workers: &workers, pools: &pools };
        let inner = Plans::default().of(&fleet)?.finish(&fleet, shelves);
        Ok(Self(Arc::new(inner)))
    }

    /// Builds the pipelines and puts the service together: once, or once for every core. Always the same names and stages.
    ///
    /// Needs no runtime: the tasks of a pipeline start with its first request, on the runtime of that.
    ///
    /// # Errors
    ///
    /// Fails where a stage cannot be built, of which a check has told already.
    pub fn service(&self) -> Result<Service, BuildError> {
        let inner = &self.0;
        let chats: Vec<_> = inner.chats.iter().map(|plan| self.chat(plan)).collect::<Result<_, _>>()?;
        let embeddings: Vec<_> =
            inner.embeddings.iter().map(|plan| plan.build(inner.tenants.clone())).collect::<Result<_, _>>()?;
        let models = inner.models.iter().map(|plan| {
            let mut model = Model::new(&plan.name);
            model.upstream.clone_from(&plan.upstream);
            model.deadline = plan.deadline;
            model.chat = plan.chat.and_then(|number| chats.get(number)?.clone());
            model.embeddings = plan.embeddings.and_then(|number| embeddings.get(number).cloned());
            model
        });
        Ok(Service::new(models.collect(), inner.pools.clone()))
    }

    fn chat(&self, plan: &ChatPlan) -> Result<Option<Pipeline<PromptRequest, Tokens>>, BuildError> {
        let source = Here { worker: &plan.worker, shelves: &self.0.shelves };
        chain::build(&plan.name, &plan.stages, &source, self.0.tenants.clone(), self.0.reader_stall).transpose()
    }
}

/// What is there to build stages with.
struct Here<'a> {
    worker: &'a Arc<dyn ModelWorker>,
    shelves: &'a Shelves,
}

impl Source for Here<'_> {
    fn worker(&self) -> Arc<dyn ModelWorker> {
        self.worker.clone()
    }

    fn index(&self, docs: &Path) -> Option<Bm25Index> {
        self.shelves.get(docs).map(|shelf| shelf.index.clone())
    }
}

/// Plans while they are made.
#[derive(Default)]
struct Plans {
    models: Vec<ModelPlan>,
    chats: Vec<ChatPlan>,
    embeddings: Vec<EmbedPlan>,
    pools: Vec<(Arc<str>, Pool)>,
    /// Which pipeline runs these stages this way.
    known: HashMap<(String, Route), usize>,
}

impl Plans {
    fn of(mut self, fleet: &Fleet<'_>) -> Result<Self, ConnectError> {
        let models = fleet.config.offered();
        for model in &models {
            let pipeline = model.pipeline.as_ref().and_then(|name| fleet.config.pipelines.get(name));
            let upstream = model.upstream.as_deref().map(Arc::from);
            let chat = self.chat(model, &models, fleet)?;
            let embeddings = model.embeddings.as_deref().and_then(|name| self.embeddings(name, fleet));
            let deadline = model.deadline.or_else(|| pipeline?.deadline).map(Duration::from);
            self.models.push(ModelPlan { name: model.name.clone(), upstream, deadline, chat, embeddings });
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
        let Some((worker, pool)) = fleet.worker(&key.1)? else { return Ok(None) };
        self.pools.extend(pool.map(|pool| (Arc::from(pool_name(&model.name)), pool)));
        let is_first = !self.chats.iter().any(|plan| plan.name == key.0);
        let name = if is_first { key.0.clone() } else { format!("{}/{}", key.0, model.name) };
        self.chats.push(ChatPlan { name, stages, worker });
        self.known.insert(key, self.chats.len() - 1);
        Ok(Some(self.chats.len() - 1))
    }

    fn embeddings(&mut self, worker: &str, fleet: &Fleet<'_>) -> Option<usize> {
        let name = format!("{worker}/embeddings");
        if let Some(number) = self.embeddings.iter().position(|plan| *plan.name == *name) {
            return Some(number);
        }
        let (embedder, slots) = embedder(worker, fleet)?;
        let slots = slots.and_then(|slots| NonZeroUsize::new(slots.total()));
        self.embeddings.push(EmbedPlan { name: name.into(), embedder, slots });
        Some(self.embeddings.len() - 1)
    }

    fn finish(self, fleet: &Fleet<'_>, shelves: Shelves) -> Inner {
        let named = fleet.pools.iter().map(|(name, pool)| (Arc::from(name.as_str()), pool.clone()));
        Inner {
            models: self.models,
            chats: self.chats,
            embeddings: self.embeddings,
            pools: named.chain(self.pools).collect(),
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

/// The stages of a model, and what their pipeline is called: after the file's pipeline, or else the worker.
fn stages(model: &file::Model, config: &Config) -> (String, Vec<Stage>) {
    match (&model.pipeline, &model.worker) {
        (Some(name), _) => {
            let pipeline = config.pipelines.get(name);
            (name.clone(), pipeline.map(|pipeline| pipeline.stages.clone()).unwrap_or_default())
        }
        (None, worker) => {
            let worker = worker.clone().unwrap_or_default();
            (worker.clone(), vec![Stage::Infer(Infer { worker, queue: None })])
        }
    }
}

fn embedder(name: &str, fleet: &Fleet<'_>) -> Option<(Arc<dyn Embedder>, Option<Slots>)> {
    match fleet.pools.get(name) {
        Some(pool) => Some((Arc::new(pool.embedder()?), pool.slots())),
        None => {
            let worker = fleet.workers.get(name)?;
            Some((worker.embedder.clone()?, worker.worker.slots()))
        }
    }
}

impl Config {
    /// The models that are offered: those of the file, or else each pipeline, pool or worker by its own name.
    pub(crate) fn offered(&self) -> Vec<file::Model> {
        if !self.models.is_empty() {
            return self.models.clone();
        }
        if !self.pipelines.is_empty() {
            let of_pipeline = |name: &String| file::Model {
                name: name.clone(),
                pipeline: Some(name.clone()),
                ..file::Model::default()
            };
            return self.pipelines.keys().map(of_pipeline).collect();
        }
        let names =
            if self.pools.is_empty() { self.workers.keys().collect() } else { self.pools.keys().collect::<Vec<_>>() };
        names.into_iter().map(|name| self.of_worker(name)).collect()
    }

    fn of_worker(&self, name: &str) -> file::Model {
        let embeds = self.embeds(name).then(|| name.to_owned());
        file::Model {
            name: name.to_owned(),
            worker: Some(name.to_owned()),
            embeddings: embeds,
            ..file::Model::default()
        }
    }

    /// Whether a worker, or one of a pool's members, embeds.
    pub(crate) fn embeds(&self, name: &str) -> bool {
        let worker = |name: &str| self.workers.get(name).is_some_and(|worker| worker.embeddings().is_some());
        match self.pools.get(name) {
            Some(pool) => pool.members.iter().any(|member| worker(member.worker())),
            None => worker(name),
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<_> = self.0.models.iter().map(|model| &model.name).collect();
        f.debug_struct("Parts").field("models", &models).finish_non_exhaustive()
    }
}
