//! A retriever that finds what a test tells it to.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use orchestrator_core::prelude::*;

/// Finds a list, cut to the limit, or fails; keeps what it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    found: Result<Vec<Passage>, WorkerError>,
    pub(crate) asked: Arc<Mutex<Vec<Query>>>,
}

impl Listed {
    pub(crate) fn new(texts: &[&str]) -> Self {
        let passage = |text: &&str| Passage::new(*text, Source::new("d"), 0.25);
        Self::of(texts.iter().map(passage).collect())
    }

    pub(crate) fn of(passages: Vec<Passage>) -> Self {
        Self { found: Ok(passages), asked: Arc::default() }
    }

    pub(crate) fn failing(kind: WorkerErrorKind) -> Self {
        Self { found: Err(WorkerError::new(kind, "told to")), asked: Arc::default() }
    }
}

impl Retriever for Listed {
    type Error = WorkerError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, WorkerError> {
        self.asked.lock().expect("not poisoned").push(query.clone());
        let mut found = self.found.clone()?;
        found.truncate(query.limit.get());
        Ok(found)
    }
}

pub(crate) fn query(limit: usize) -> Query {
    Query::new("question", NonZeroUsize::new(limit).expect("not zero"))
}

pub(crate) async fn texts(retriever: &impl Retriever, limit: usize) -> Vec<String> {
    let found = retriever.retrieve(&query(limit)).await.map_err(Into::into).expect("found");
    found.into_iter().map(|passage| passage.text).collect()
}

/// The kind of the worker error with which a search fails.
pub(crate) async fn failure(retriever: &impl Retriever) -> WorkerErrorKind {
    let error: BoxError = retriever.retrieve(&query(3)).await.map(drop).map_err(Into::into).expect_err("failed");
    error.downcast_ref::<WorkerError>().expect("a worker's").kind()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}
