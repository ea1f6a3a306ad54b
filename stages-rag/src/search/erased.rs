use std::future::Future;
use std::pin::Pin;

use orchestrator_core::error::BoxError;
use orchestrator_core::retrieval::{Passage, Query, Retriever};

/// What a search gives, whatever the retriever.
type Found<'a> = Pin<Box<dyn Future<Output = Result<Vec<Passage>, BoxError>> + Send + 'a>>;

/// A retriever of any type: the twin of [`Retriever`] that can be a trait object.
pub(super) trait Erased: Send + Sync + 'static {
    fn erased_retrieve<'a>(&'a self, query: &'a Query) -> Found<'a>;
}

impl<R: Retriever> Erased for R {
    fn erased_retrieve<'a>(&'a self, query: &'a Query) -> Found<'a> {
        Box::pin(async move { self.retrieve(query).await.map_err(Into::into) })
    }
}
