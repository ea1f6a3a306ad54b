use std::path::Path;

use super::bm25::Bm25Index;
use super::language::Languages;
use crate::error::IndexError;

/// Says how a [`Bm25Index`] is made.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, Document, Fingerprint, Index, Language, Languages};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let index = Bm25Index::builder().languages(Languages::Only(Language::German)).in_memory()?;
/// let passage = Passage::new("Bücher", Source::new("regal.md"), 0.0);
/// index.put(vec![Document::new("regal.md", Fingerprint(1), vec![passage])]).await?;
/// index.commit().await?;
/// assert_eq!(index.retrieve(&Query::new("Buch", NonZeroUsize::MIN)).await?.len(), 1);
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Bm25Builder {
    languages: Languages,
}

impl Bm25Builder {
    /// Says which languages the documents are in; [`Languages::Detect`] unless it is called.
    #[must_use]
    pub const fn languages(mut self, languages: Languages) -> Self {
        self.languages = languages;
        self
    }

    /// Opens the index on disk in a folder; see [`Bm25Index::open`].
    ///
    /// # Errors
    ///
    /// As [`Bm25Index::open`], and [`Incompatible`](crate::IndexErrorKind::Incompatible) where the index was made for
    /// other languages.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<Bm25Index, IndexError> {
        Bm25Index::open_with(path.as_ref(), self.languages).await
    }

    /// Makes an empty index in memory; see [`Bm25Index::in_memory`].
    ///
    /// # Errors
    ///
    /// Fails where the search engine does.
    pub fn in_memory(self) -> Result<Bm25Index, IndexError> {
        Bm25Index::in_memory_with(self.languages)
    }
}
