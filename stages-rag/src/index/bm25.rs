use std::fmt;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use orchestrator_core::retrieval::{Passage, Query, Retriever};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use crate::corpus::{SkippedFile, read_folder};
use crate::error::IndexError;

/// Searches passages by their words, ranked with BM25, in memory.
///
/// Words are compared in lower case and by their English stem: "shedding" finds "sheds". Words of the headings count as
/// well as those of the text. A query is natural language and has no syntax that could be wrong; one without a word
/// that says what it is about ("what is it?") finds nothing. Of a very long query the first 64 distinct words are
/// searched for. Other languages are found by whole words, and scripts that write no spaces between words hardly at all.
///
/// The passages come with the best score first, equal ones in their order in the index; the same index and query give
/// the same list every time.
///
/// A search runs inline, on the task that asks: among thousands of passages a question takes microseconds, the longest
/// query about a tenth of a millisecond, and handing it to another thread would cost more than most.
///
/// A clone costs one reference count: one index serves any number of pipelines. It does not watch its files; build
/// another one when they change.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::prelude::*;
/// use stages_rag::Bm25Index;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("queue.md"), "# Queues\n\nA full queue sheds its oldest request.\n")?;
/// # let docs = folder.path();
/// let index = Bm25Index::from_dir(docs).await?;
/// let found = index.retrieve(&Query::new("Is anything shed?", NonZeroUsize::MIN)).await?;
/// assert_eq!(found[0].source.to_string(), "queue.md:1-3 (Queues)");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone)]
pub struct Bm25Index(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// In the engine's order.
    passages: Vec<Passage>,
    skipped: Vec<SkippedFile>,
}

impl Bm25Index {
    /// Reads, cuts and indexes the `.md` and `.txt` files under a folder.
    ///
    /// Sub-folders are read too; whatever is hidden (its name begins with a dot), `target` and `node_modules` are not,
    /// and links to folders are not followed. Markdown is cut at its headings, then at blocks and sentences; plain text
    /// at paragraphs and sentences; a passage has about 800 characters at most. YAML or TOML front matter is left out.
    ///
    /// A file that cannot be used does not fail the others: it is [reported](Self::skipped) and logged as a warning.
    ///
    /// The work is done on Tokio's blocking threads.
    ///
    /// # Errors
    ///
    /// Fails where the folder does not exist, is not a folder or cannot be listed, and where it holds no document with
    /// text.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the work behind the file that is being read.
    pub async fn from_dir(dir: impl AsRef<Path>) -> Result<Self, IndexError> {
        let root = dir.as_ref().to_owned();
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let work = {
            let root = root.clone();
            move || {
                let corpus = read_folder(&root, &stop)?;
                Self::build(corpus.passages, corpus.skipped)
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(built) => built,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(stopped) => Err(IndexError::interrupted(&root, Some(stopped.into()))),
            },
        }
    }

    /// Indexes passages that are there already; their scores are not used.
    ///
    /// None at all is fine: nothing will be found. Runs on the calling thread, about a second per 50,000 passages.
    ///
    /// # Errors
    ///
    /// Fails where the search engine does.
    ///
    /// # Examples
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    /// use stages_rag::Bm25Index;
    ///
    /// let faq = [("returns", "Goods go back within 30 days."), ("shipping", "Parcels leave at noon.")];
    /// let index = Bm25Index::from_passages(faq.map(|(id, text)| Passage::new(text, Source::new(id), 0.0)))?;
    /// assert_eq!(index.len(), 2);
    /// # Ok::<_, stages_rag::IndexError>(())
    /// ```
    pub fn from_passages(passages: impl IntoIterator<Item = Passage>) -> Result<Self, IndexError> {
        Self::build(passages.into_iter().collect(), Vec::new())
    }

    fn build(passages: Vec<Passage>, skipped: Vec<SkippedFile>) -> Result<Self, IndexError> {
        let engine = Engine::build(&passages)?;
        Ok(Self(Arc::new(Inner { engine, passages, skipped })))
    }

    /// Returns how many passages it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.passages.len()
    }

    /// Returns whether it holds no passage, so that it never finds one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.passages.is_empty()
    }

    /// Returns the files and folders that were passed over because they cannot be used, by path.
    ///
    /// Not what is left out by its name: other file types, hidden entries, `target` and `node_modules`.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.0.skipped
    }
}

impl Retriever for Bm25Index {
    type Error = IndexError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, IndexError> {
        let Inner { engine, passages, .. } = &*self.0;
        let best = engine.search(&query.text, query.limit)?;
        let found = |(score, place): (f32, usize)| {
            let mut passage = passages[place].clone();
            passage.score = score;
            passage
        };
        Ok(best.into_iter().map(found).collect())
    }
}

impl fmt::Debug for Bm25Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bm25Index")
            .field("passages", &self.len())
            .field("skipped", &self.0.skipped)
            .finish_non_exhaustive()
    }
}
