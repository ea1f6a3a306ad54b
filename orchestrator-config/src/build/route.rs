//! Which worker answers for a model, and by which name it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use orchestrator_core::worker::ModelWorker;
use workers_pool::policy::Ordered;
use workers_pool::{BuildError, Member, Pool, RetryMeter};

use super::guard::{guarded, guarded_unnamed};
use super::naming::{Named, Naming};
use super::workers::Connected;
use crate::file::{self, Config, Model};
use crate::service::ModelName;

/// Who answers on a route.
pub(super) struct Routed {
    pub(super) worker: Arc<dyn ModelWorker>,
    /// The pool that was made for it, if one was.
    pub(super) pool: Option<Pool>,
    /// What tells of attempts, where there may be several.
    pub(super) retries: Option<RetryMeter>,
}

/// Workers and pools that are there, by name.
pub(super) struct Fleet<'a> {
    pub(super) config: &'a Config,
    pub(super) workers: &'a BTreeMap<String, Connected>,
    pub(super) pools: &'a BTreeMap<String, Pool>,
}

/// How requests for a model get to who answers them: models of which that is the same share a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Route {
    first: Leg,
    fallbacks: Vec<Leg>,
}

/// A worker or pool, and the name by which it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Leg {
    worker: String,
    naming: Naming,
    /// The model that it stands for.
    model: String,
}

impl Route {
    /// Finds the way of a model's requests; `None` where it answers no prompts.
    pub(super) fn of(model: &Model, models: &[Model], config: &Config) -> Option<Self> {
        let fallbacks = model.fallback.iter().filter_map(|name| {
            let other = find(name, models)?;
            Leg::of(other, Some(name), config)
        });
        let fallbacks: Vec<_> = fallbacks.collect();
        let mut first = Leg::of(model, None, config)?;
        if fallbacks.is_empty() {
            // The service sets the upstream name in the request.
            first = Leg { naming: if first.naming == Naming::Own { Naming::Own } else { Naming::AsAsked }, ..first };
            first.model = String::new();
        }
        Some(Self { first, fallbacks })
    }

    /// The worker or pool that is asked before any fallback.
    pub(super) fn first(&self) -> &str {
        &self.first.worker
    }
}

impl Leg {
    fn of(model: &Model, asked: Option<&str>, config: &Config) -> Option<Self> {
        let worker = worker_of(model, config)?.to_owned();
        let is_pattern = matches!(ModelName::new(&model.name), ModelName::Pattern { .. });
        let naming = match (&model.upstream, is_pattern, asked) {
            (Some(upstream), ..) => Naming::Upstream(upstream.as_str().into()),
            (None, true, Some(asked)) => Naming::Upstream(asked.into()),
            (None, true, None) => Naming::AsAsked,
            (None, false, _) => Naming::Own,
        };
        Some(Self { worker, naming, model: asked.unwrap_or(&model.name).to_owned() })
    }
}

/// The worker or pool that answers a model's prompts.
pub(super) fn worker_of<'a>(model: &'a Model, config: &'a Config) -> Option<&'a str> {
    if let Some(worker) = &model.worker {
        return Some(worker);
    }
    let pipeline = config.pipelines.get(model.pipeline.as_ref()?)?;
    pipeline.stages.iter().find_map(|stage| match stage {
        file::Stage::Infer(infer) => Some(infer.worker.as_str()),
        _ => None,
    })
}

/// The model that a name means, as the service finds it: names before patterns.
pub(crate) fn find<'a>(name: &str, models: &'a [Model]) -> Option<&'a Model> {
    let exact = models.iter().find(|model| model.name == name);
    exact.or_else(|| models.iter().find(|model| ModelName::new(&model.name).matches(name)))
}

impl Fleet<'_> {
    /// Makes the worker of a route; where that takes a pool of its own, that is returned, too.
    pub(super) fn worker(&self, route: &Route) -> Result<Option<Routed>, BuildError> {
        if !route.fallbacks.is_empty() {
            return self.with_fallbacks(route).map(Some);
        }
        let name = &route.first.worker;
        let found = match (self.pools.get(name), self.config.pools.get(name)) {
            (Some(pool), Some(settings)) => {
                let (worker, retries) = guarded(pool.clone(), settings);
                Some((worker, Some(retries)))
            }
            _ => self.bare(name).map(|worker| (worker, None)),
        };
        Ok(found.map(|(worker, retries)| {
            let worker = match route.first.naming {
                Naming::AsAsked => worker,
                _ => Arc::new(Named::new(worker, route.first.naming.clone())),
            };
            Routed { worker, pool: None, retries }
        }))
    }

    fn with_fallbacks(&self, route: &Route) -> Result<Routed, BuildError> {
        let legs = [&route.first].into_iter().chain(&route.fallbacks);
        let mut builder = Pool::builder(format!("{} and its fallbacks", route.first.model)).policy(Ordered::new());
        for leg in legs {
            if let Some(worker) = self.bare(&leg.worker) {
                builder = builder.member(Member::new(&leg.model, Named::new(worker, leg.naming.clone())));
            }
        }
        let pool = builder.build()?;
        let settings = self.config.pools.get(&route.first.worker);
        let (retry, fail_over) =
            settings.map_or_else(Default::default, |settings| (settings.retry.clone(), settings.fail_over));
        let (worker, retries) = guarded_unnamed(pool.clone(), &retry, fail_over);
        Ok(Routed { worker, pool: Some(pool), retries: Some(retries) })
    }

    /// A worker, or a pool without what stands around it.
    fn bare(&self, name: &str) -> Option<Arc<dyn ModelWorker>> {
        match self.pools.get(name) {
            Some(pool) => Some(Arc::new(pool.clone())),
            None => Some(self.workers.get(name)?.worker.clone()),
        }
    }
}
