use crate::file::{Config, Model};

impl Config {
    /// The models that are offered: those of the file, or else each pipeline, pool or worker by its own name.
    pub(crate) fn offered(&self) -> Vec<Model> {
        if !self.models.is_empty() {
            return self.models.clone();
        }
        if !self.pipelines.is_empty() {
            let of_pipeline =
                |name: &String| Model { name: name.clone(), pipeline: Some(name.clone()), ..Model::default() };
            return self.pipelines.keys().map(of_pipeline).collect();
        }
        let names =
            if self.pools.is_empty() { self.workers.keys().collect() } else { self.pools.keys().collect::<Vec<_>>() };
        names.into_iter().map(|name| self.of_worker(name)).collect()
    }

    fn of_worker(&self, name: &str) -> Model {
        let embeds = self.embeds(name).then(|| name.to_owned());
        Model { name: name.to_owned(), worker: Some(name.to_owned()), embeddings: embeds, ..Model::default() }
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
