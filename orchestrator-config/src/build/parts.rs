use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use orchestrator_core::answer::Tokens;
use orchestrator_core::error::BuildError;
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::PromptRequest;
use orchestrator_core::tenants::Tenants;
use orchestrator_core::worker::ModelWorker;
use stages_rag::Bm25Index;
use workers_pool::{Pool, RetryMeter};

use super::chain::{self, Source};
use super::embed::EmbedPlan;
use super::plans::{ChatPlan, ModelPlan, Plans};
use super::retrieval::{self, Shelves};
use super::route::Fleet;
use super::workers::{self, Connected};
use super::{ConnectError, pools};
use crate::file::Config;
use crate::service::{Model, Service};

/// What of a service there is once, whatever the number of cores: workers, pools, indexes, and what tenants have used.
///
/// Cheap to clone. To be kept as long as the service runs: indexes no longer follow their folders when the last clone is gone.
#[derive(Clone)]
pub struct Parts(Arc<Inner>);

/// What clones share.
pub(super) struct Inner {
    pub(super) models: Vec<ModelPlan>,
    pub(super) chats: Vec<ChatPlan>,
    pub(super) embeddings: Vec<EmbedPlan>,
    pub(super) pools: Vec<(Arc<str>, Pool)>,
    pub(super) retries: Arc<[(Arc<str>, RetryMeter)]>,
    pub(super) shelves: Shelves,
    pub(super) tenants: Tenants,
    pub(super) reader_stall: Duration,
}

impl Parts {
    /// Makes workers, pools and indexes of a configuration.
    ///
    /// A llama.cpp, a vLLM or a server of unknown kind that does not answer keeps nobody waiting: requests for it are refused
    /// as for one that is down, and it is asked again every few seconds until it is there. Servers of other kinds are not asked
    /// anything. Folders of documents are read before this returns.
    ///
    /// # Errors
    ///
    /// Fails where the configuration was not checked and has faults, where a folder or an index on disk cannot be used, and
    /// where settings cannot be used with the server that answers.
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
            // A model that does both is served as long as prompts are answered.
            model.pool = match plan.chat {
                Some(number) => inner.chats.get(number).and_then(|plan| plan.pool.clone()),
                None => plan.embeds.clone(),
            };
            model
        });
        let service = Service::new(models.collect(), inner.pools.clone());
        Ok(Service { retries: inner.retries.clone(), ..service })
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

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models: Vec<_> = self.0.models.iter().map(|model| &model.name).collect();
        f.debug_struct("Parts").field("models", &models).finish_non_exhaustive()
    }
}
