use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

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
    /// The page, from 1, where the document has pages.
    pub page: Option<u32>,
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

    /// Adds the page, from 1.
    #[must_use]
    pub const fn page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }
}

/// Shows as `guide.md:3-9 (Overload > Shedding)`, or as `paper.pdf, page 4`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.document)?;
        if let Some((first, last)) = self.lines {
            write!(f, ":{first}-{last}")?;
        }
        if let Some(page) = self.page {
            write!(f, ", page {page}")?;
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
    /// What is known of its document beside the text, for [`Filter`](crate::retrieval::Filter)s: language, tenant, tags.
    pub metadata: BTreeMap<String, String>,
}

impl Passage {
    /// Makes a passage with its source and score.
    pub fn new(text: impl Into<String>, source: Source, score: f32) -> Self {
        Self { text: text.into(), source, score, metadata: BTreeMap::new() }
    }

    /// Adds a fact about its document, in place of an earlier one of the same key.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// The passages that were retrieved for a request, the best first; their place plus one is their number in the prompt.
///
/// The retrieval stage leaves them in the request's [`Context`](crate::context::Context), so that the caller can show them:
/// `answer.context().get::<Passages>()`.
#[derive(Debug, Clone, Default)]
pub struct Passages(pub Arc<[Passage]>);
