use std::future::Future;
use std::num::NonZeroUsize;

use crate::error::BoxError;
use crate::retrieval::{Filter, Passage};

/// What a [`Retriever`] is asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// The question, in natural language.
    pub text: String,
    /// The most passages that are wanted.
    pub limit: NonZeroUsize,
    /// Which passages count at all.
    pub filter: Filter,
}

impl Query {
    /// Asks for up to `limit` passages, whatever their metadata.
    pub fn new(text: impl Into<String>, limit: NonZeroUsize) -> Self {
        Self { text: text.into(), limit, filter: Filter::Any }
    }

    /// Lets only those passages count whose metadata the filter accepts.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Asks for another number of passages.
    #[must_use]
    pub const fn limit(mut self, limit: NonZeroUsize) -> Self {
        self.limit = limit;
        self
    }
}

/// Finds passages for a query.
///
/// An implementation returns at most [`Query::limit`] passages, the best first, and an empty list when nothing fits:
/// that is not an error. It applies [`Query::filter`] before the limit, so that what the filter rejects takes nobody's
/// place. It must not block: an index in memory searches inside [`Context::offload`](crate::context::Context::offload)
/// where a search takes longer than about 50 us.
pub trait Retriever: Send + Sync + 'static {
    /// What can go wrong.
    type Error: Into<BoxError>;

    /// Finds the best passages for `query`.
    fn retrieve(&self, query: &Query) -> impl Future<Output = Result<Vec<Passage>, Self::Error>> + Send;
}
