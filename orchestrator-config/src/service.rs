use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::answer::Tokens;
use orchestrator_core::error::InvalidInput;
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::{Input, PromptRequest};
use workers_pool::{Pool, RetryMeter};

/// Texts to be embedded together.
#[derive(Debug)]
pub struct Texts(pub Vec<String>);

impl Input for Texts {
    fn validate(&self) -> Result<(), InvalidInput> {
        if self.0.is_empty() {
            return Err(InvalidInput::new("input", "must hold at least one text"));
        }
        Ok(())
    }
}

/// What texts were embedded to.
#[derive(Debug)]
pub struct Embeddings {
    /// One vector for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of the texts.
    pub tokens: u64,
}

/// What a model is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelName {
    /// This name.
    Exact(Arc<str>),
    /// Any name with this beginning and this end: `*` in a file stands for what lies between.
    Pattern {
        /// Before the `*`.
        start: Arc<str>,
        /// Behind it.
        end: Arc<str>,
    },
}

impl ModelName {
    /// Reads a name as it stands in a file: with at most one `*`, which stands for any text.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name.split_once('*') {
            Some((start, end)) => Self::Pattern { start: start.into(), end: end.into() },
            None => Self::Exact(name.into()),
        }
    }

    /// Returns whether a name is meant.
    #[must_use]
    pub fn matches(&self, asked: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *asked,
            Self::Pattern { start, end } => {
                asked.len() >= start.len() + end.len() && asked.starts_with(&**start) && asked.ends_with(&**end)
            }
        }
    }
}

/// A model that clients ask for, and what answers for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Model {
    /// What it is asked for by.
    pub name: ModelName,
    /// What it is called at the server; as it was asked for unless set.
    pub upstream: Option<Arc<str>>,
    /// How long a request may take in all.
    pub deadline: Option<Duration>,
    /// What answers prompts, if it does.
    pub chat: Option<Pipeline<PromptRequest, Tokens>>,
    /// What embeds texts, if it does.
    pub embeddings: Option<Pipeline<Texts, Embeddings>>,
    /// The pool that its requests go to, if they go to one: the model is served while a member of that takes requests.
    pub pool: Option<Pool>,
}

impl Model {
    /// Makes a model that nothing answers for yet; see [`ModelName::new`] for the name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: ModelName::new(name), upstream: None, deadline: None, chat: None, embeddings: None, pool: None }
    }
}

/// What answers for models by name: all that a server needs of what stands behind it.
///
/// Cheap to clone; clones share their pipelines.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Service {
    /// The models in the order in which they are looked through; names come before patterns.
    pub models: Arc<[Model]>,
    /// The pools behind them, for figures.
    pub pools: Arc<[(Arc<str>, Pool)]>,
    /// What tells of attempts beyond the first, by the pipelines in which they are made, for figures.
    pub retries: Arc<[(Arc<str>, RetryMeter)]>,
}

impl Service {
    /// Makes a service of models and the pools behind them.
    #[must_use]
    pub fn new(mut models: Vec<Model>, pools: Vec<(Arc<str>, Pool)>) -> Self {
        models.sort_by_key(|model| matches!(model.name, ModelName::Pattern { .. }));
        Self { models: models.into(), pools: pools.into(), retries: [].into() }
    }

    /// Finds what answers for a model: whoever has that name, or else the first pattern that it fits.
    #[must_use]
    pub fn model(&self, asked: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name.matches(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_before_a_pattern_whatever_the_order() {
        let service = Service::new(vec![Model::new("gpt-*"), Model::new("*"), Model::new("gpt-4")], Vec::new());
        let found = |asked| service.model(asked).map(|model| model.name.clone());
        assert_eq!(found("gpt-4"), Some(ModelName::new("gpt-4")));
        assert_eq!(found("gpt-5"), Some(ModelName::new("gpt-*")));
        assert_eq!(found("qwen"), Some(ModelName::new("*")));
    }

    #[test]
    fn start_and_end_of_a_pattern_do_not_overlap() {
        let pattern = ModelName::new("ab*ba");
        assert!(pattern.matches("abba") && pattern.matches("ab-ba"));
        assert!(!pattern.matches("aba"));
    }
}
