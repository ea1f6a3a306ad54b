use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use orchestrator_core::retrieval::{Passage, Query, Retriever};
use tokio::sync::{Mutex, Semaphore};

use super::builder::Bm25Builder;
use super::engine::Engine;
use super::filter;
use super::language::Languages;
use super::snapshot::Search;
use crate::corpus::{Folder, SkippedFile};
use crate::error::IndexError;
use crate::index::blocking::blocking;
use crate::index::{Document, Fingerprint, Index};

/// The most entries of the index that a search reads on the task that asks.
///
/// Measured: 0.04 ms for a question, and 10 ns for each entry.
const INLINE_EFFORT: u64 = 5_000;

/// The most bytes of a question, conditions of a filter and passages to find of such a search.
const INLINE_TEXT: usize = 1 << 10;
const INLINE_LEAVES: usize = 16;
const INLINE_LIMIT: usize = 100;

/// Searches passages by their words, ranked with BM25, in memory or on disk.
///
/// Words are compared in lower case, by their stem, and that without accents: "shedding" finds "sheds", "cafe" finds
/// "cafés"; only where the stem itself hangs on an accent it has to be there. Words of the headings
/// count as well as those of the text. Each document is read in its [language](Languages), and a question in all that the
/// index holds; a word counts once, however many of them know it. Scripts that write no spaces between words are compared
/// by pairs of characters. A query is natural language and has no syntax that could be wrong; one without a word that says
/// what it is about ("what is it?") finds nothing. Of a very long query the first 64 distinct words, among the first 256, are
/// searched for.
///
/// The passages come with the best score first, equal ones in the order in which they were put in; the same index and
/// query give the same list every time. Passages that were taken out still count as far as the rareness of their words is
/// concerned, until their part of the index is merged with another.
///
/// It is an [`Index`]: documents are put in and taken out while it is searched, and a search sees what was committed last,
/// whole. A clone shares everything with it. It does not watch the files that it was made from.
///
/// # On disk
///
/// What a [`commit`](Index::commit) has returned from survives the process and the machine; a process that is killed in
/// the middle of one leaves all of it or nothing. Changes that are not committed are gone when the last clone is dropped;
/// that waits until the indexing thread has looked through what it was given, up to 10,000 passages. One process at a time
/// has an index open. Opening reads all of it once to see that it is not damaged, about a second per gigabyte.
///
/// # Threads and memory
///
/// While there are uncommitted changes an indexing thread and two that mostly wait run, and up to 50 MB hold what they
/// have to write, beside the passages on their way to them, 10,000 at most; a commit ends all of that. A commit also merges
/// parts of the index that have become many or hollow, and does not return before that is done. The names of the documents
/// and their fingerprints are always in memory.
///
/// What blocks runs on Tokio's blocking threads: changes, and searches on disk, where a page may have to be read. In memory
/// a search that reads up to 5,000 entries of the index, for up to 100 passages, with a question of up to a kibibyte and a
/// filter of up to 16 conditions, runs inline, on the task that asks. Changes wait for each other without a thread, and so
/// do searches beyond as many as the machine has cores. Dropping the future of a change or a search that has begun does
/// not stop it.
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
pub struct Bm25Index {
    engine: Arc<Engine>,
    /// Held by the change that is being made; the others wait for it without a thread.
    turn: Arc<Mutex<()>>,
    /// As many as searches that may run at once off the task that asks.
    searches: Arc<Semaphore>,
    skipped: Arc<[SkippedFile]>,
}

impl Bm25Index {
    /// Opens the index in a folder, for searching and for changing; where there is none, it makes an empty one.
    ///
    /// # Errors
    ///
    /// [`Locked`](crate::IndexErrorKind::Locked) where another process or another handle of this one has it open,
    /// [`Incompatible`](crate::IndexErrorKind::Incompatible) where another version or other settings made it, and
    /// [`Storage`](crate::IndexErrorKind::Storage) where the folder cannot be read or written or a file in it is damaged.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use orchestrator_core::prelude::*;
    /// use stages_rag::{Bm25Index, Document, Fingerprint, Index};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path();
    /// let index = Bm25Index::open(path).await?;
    /// let passage = Passage::new("A full queue sheds.", Source::new("queue.md"), 0.0);
    /// index.put(vec![Document::new("queue.md", Fingerprint(1), vec![passage.with_metadata("team", "core")])]).await?;
    /// index.commit().await?;
    /// drop(index);
    ///
    /// let index = Bm25Index::open(path).await?;
    /// assert_eq!(index.documents().await?["queue.md"], Fingerprint(1));
    /// let query = Query::new("shedding", NonZeroUsize::MIN);
    /// assert_eq!(index.retrieve(&query.clone().filter(Filter::is("team", "core"))).await?.len(), 1);
    /// assert_eq!(index.retrieve(&query.filter(Filter::is("team", "web"))).await?.len(), 0);
    /// # Ok::<_, BoxError>(())
    /// # })?;
    /// # Ok::<_, BoxError>(())
    /// ```
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, IndexError> {
        Self::builder().open(path).await
    }

    /// Makes an empty index in memory.
    ///
    /// # Errors
    ///
    /// Fails where the search engine does.
    pub fn in_memory() -> Result<Self, IndexError> {
        Self::builder().in_memory()
    }

    /// Says more than [`open`](Self::open) and [`in_memory`](Self::in_memory) do.
    #[must_use]
    pub fn builder() -> Bm25Builder {
        Bm25Builder::default()
    }

    pub(super) async fn open_with(path: &Path, languages: Languages) -> Result<Self, IndexError> {
        let folder = path.to_owned();
        let engine = blocking(Some(path), move || Engine::open(&folder, languages)).await?;
        Ok(Self::over(engine))
    }

    pub(super) fn in_memory_with(languages: Languages) -> Result<Self, IndexError> {
        Engine::in_memory(languages).map(Self::over)
    }

    fn over(engine: Engine) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let searches = Arc::new(Semaphore::new(cores));
        Self { engine: Arc::new(engine), turn: Arc::default(), searches, skipped: Arc::default() }
    }

    /// Reads, cuts and indexes the documents that a [`Folder`] of default limits lists, in memory.
    ///
    /// Markdown is cut at its headings, then at blocks and sentences; plain text at paragraphs and sentences; a passage
    /// has about 800 characters at most. YAML or TOML front matter is left out.
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
    /// Dropping the future ends the work behind the files that are being read.
    pub async fn from_dir(dir: impl AsRef<Path>) -> Result<Self, IndexError> {
        let root = dir.as_ref();
        let index = Self::in_memory()?;
        let report = Folder::new(root).sync(&index).await?;
        if index.is_empty() {
            return Err(IndexError::no_documents(root, report.skipped));
        }
        Ok(Self { skipped: report.skipped.into(), ..index })
    }

    /// Indexes passages that are there already, in memory; their scores are not used.
    ///
    /// None at all is fine: nothing will be found. It blocks the calling thread, about a second per 50,000 passages, and
    /// one per 10,000 documents to tell their languages. Passages with the same
    /// [`document`](orchestrator_core::retrieval::Source::document) are that document's.
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
        let engine = Engine::in_memory(Languages::Detect)?;
        engine.fill(&passages.into_iter().collect::<Vec<_>>())?;
        Ok(Self::over(engine))
    }

    /// Returns how many passages it holds, as of the last commit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.snapshot().passages()
    }

    /// Returns whether it holds no passage, so that it never finds one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the files and folders that [`from_dir`](Self::from_dir) passed over because they cannot be used, by path.
    ///
    /// Not what is left out by its name: other file types, hidden entries, `target` and `node_modules`.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }
}

impl Bm25Index {
    /// Looks at changes or makes some, on one of Tokio's blocking threads, one caller at a time.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let engine = self.engine.clone();
        let turn = self.turn.clone().lock_owned().await;
        blocking(self.engine.path(), move || {
            let done = work(&engine);
            drop(turn);
            done
        })
        .await
    }

    /// Searches on one of Tokio's blocking threads.
    async fn off(
        &self,
        work: impl FnOnce(&Engine) -> Result<Vec<Passage>, IndexError> + Send + 'static,
    ) -> Result<Vec<Passage>, IndexError> {
        let engine = self.engine.clone();
        let running = self.searches.clone().acquire_owned().await;
        blocking(self.engine.path(), move || {
            let found = work(&engine);
            drop(running);
            found
        })
        .await
    }
}

/// # Panics
///
/// All of its methods panic outside a Tokio runtime.
impl Index for Bm25Index {
    async fn documents(&self) -> Result<BTreeMap<String, Fingerprint>, IndexError> {
        self.in_turn(|engine| Ok(engine.documents())).await
    }

    /// Puts documents in, each in place of an earlier one of its name.
    ///
    /// One without passages is in the index all the same, and never found. Where it fails, all changes since the last
    /// commit are taken back.
    async fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        self.in_turn(move |engine| engine.put(&documents)).await
    }

    /// Takes documents out; names that it does not hold do nothing.
    ///
    /// Where it fails, all changes since the last commit are taken back.
    async fn remove(&self, names: Vec<String>) -> Result<(), IndexError> {
        self.in_turn(move |engine| engine.remove(&names)).await
    }

    /// Makes everything since the last commit visible and durable, or nothing of it.
    ///
    /// Where it fails, [`documents`](Index::documents) says which: it may have been done before something went wrong.
    async fn commit(&self) -> Result<(), IndexError> {
        self.in_turn(Engine::commit).await
    }
}

/// # Panics
///
/// [`retrieve`](Retriever::retrieve) panics outside a Tokio runtime, unless the index is in memory and the search short
/// enough to run inline.
impl Retriever for Bm25Index {
    type Error = IndexError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, IndexError> {
        let snapshot = self.engine.snapshot();
        if self.engine.path().is_some() || is_large(query) {
            let query = query.clone();
            return self.off(move |engine| search(engine, Search::new(snapshot, &query))).await;
        }
        let found = Search::new(snapshot, query);
        if found.as_ref().is_ok_and(|found| found.effort() > INLINE_EFFORT) {
            return self.off(|engine| search(engine, found)).await;
        }
        search(&self.engine, found)
    }
}

/// Returns whether looking a question up, or handing over what is found, may take longer than a task should.
fn is_large(query: &Query) -> bool {
    query.text.len() > INLINE_TEXT || query.limit.get() > INLINE_LIMIT || filter::leaves(&query.filter) > INLINE_LEAVES
}

fn search(engine: &Engine, search: tantivy::Result<Search>) -> Result<Vec<Passage>, IndexError> {
    search.and_then(Search::run).map_err(|error| engine.fault(error))
}

impl fmt::Debug for Bm25Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bm25Index")
            .field("passages", &self.len())
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}
