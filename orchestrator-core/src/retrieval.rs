//! Passages and where they come from.
//!
//! The traits and types that retrieval and workers share. Indexes and the stages around them live in `stages-rag`.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::error::BoxError;

/// Where a [`Passage`] was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Source {
    /// The document: a path relative to the corpus, a URL, an id.
    pub document: String,
    /// The headings above the passage, the outermost first.
    pub headings: Vec<String>,
    /// First and last line in the document, from 1, where the document has lines.
    pub lines: Option<(u32, u32)>,
}

impl Source {
    /// Names a document.
    pub fn new(document: impl Into<String>) -> Self {
        Self { document: document.into(), ..Self::default() }
    }

    /// Adds the headings above the passage, the outermost first.
    #[must_use]
    pub fn headings(mut self, headings: Vec<String>) -> Self {
        self.headings = headings;
        self
    }

    /// Adds the first and the last line, from 1.
    #[must_use]
    pub const fn lines(mut self, first: u32, last: u32) -> Self {
        self.lines = Some((first, last));
        self
    }
}

/// Shows as `guide.md:3-9 (Overload > Shedding)`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.document)?;
        if let Some((first, last)) = self.lines {
            write!(f, ":{first}-{last}")?;
        }
        if !self.headings.is_empty() {
            write!(f, " ({})", self.headings.join(" > "))?;
        }
        Ok(())
    }
}

/// A piece of a document that may help to answer a question.
///
/// Handed from stage to stage and to the worker as data; nobody has to parse it back out of a prompt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Passage {
    /// The text as it stands in the document.
    pub text: String,
    /// Where it stands.
    pub source: Source,
    /// How well it fits, higher is better; only comparable within one reply of one retriever.
    pub score: f32,
}

impl Passage {
    /// Makes a passage with its source and score.
    pub fn new(text: impl Into<String>, source: Source, score: f32) -> Self {
        Self { text: text.into(), source, score }
    }
}

/// The passages that were retrieved for a request, the best first; their place plus one is their number in the prompt.
///
/// The retrieval stage leaves them in the request's [`Context`](crate::context::Context), so that the caller can show them:
/// `answer.context().get::<Passages>()`.
#[derive(Debug, Clone, Default)]
pub struct Passages(pub Arc<[Passage]>);

/// Finds passages for a query.
///
/// An implementation returns at most `limit` passages, the best first, and an empty list when nothing fits: that is
/// not an error. It must not block: an index in memory searches inside [`Context::offload`](crate::context::Context::offload)
/// where a search takes longer than about 50 us.
pub trait Retriever: Send + Sync + 'static {
    /// What can go wrong.
    type Error: Into<BoxError>;

    /// Finds the `limit` best passages for `query`.
    fn retrieve(
        &self,
        query: &str,
        limit: NonZeroUsize,
    ) -> impl Future<Output = Result<Vec<Passage>, Self::Error>> + Send;
}
