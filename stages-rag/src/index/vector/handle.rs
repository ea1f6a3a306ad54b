use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use orchestrator_core::retrieval::{Embedder, Passage, Query, Retriever};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio_util::sync::CancellationToken;

use super::changes::{Changes, Embedded};
use super::draft::Draft;
use super::embed::{embed_passages, embed_query};
use super::fault;
use super::graph::Stopped;
use super::snapshot::Snapshot;
use super::store::Store;
use crate::error::IndexError;
use crate::index::blocking::blocking;
use crate::index::{Document, Fingerprint, Index};

/// Searches passages by what they mean: by the cosine between their vectors and that of the question.
///
/// The vectors come from an [`Embedder`]; the index knows it by its name and takes vectors of no other. A passage's score
/// is the cosine, from -1 to 1. The best come first, equal ones in a fixed order; the same commit and query give the same
/// list every time.
///
/// Documents are put in, replaced and removed as [`Index`] says: a search sees what was committed last, whole, also while
/// the next commit is made.
///
/// # How exact it is
///
/// Up to 5,000 passages are all compared with the question. More are searched in a graph (Vamana, of DiskANN), which on
/// 50,000 random vectors of 64 dimensions finds more than 95 % of the ten nearest. [`Query::filter`] comes before the
/// limit: the fewer passages it accepts, the wider the graph is searched, and where that is not cheaper any more, all
/// that are accepted are compared. So a filter never empties a list that it need not.
///
/// # What it takes
///
/// Vectors and graph are in memory: four bytes for each dimension and about 300 bytes more for each passage. On disk
/// they are stored as well, with texts and metadata, which are read when they are found. What gathers between two commits
/// is in memory too.
///
/// A search runs on one of Tokio's blocking threads, as many at once as the machine has cores; the others wait. A commit
/// links new vectors on threads of its own, one for each core, which end with it.
///
/// A clone costs one reference count: one index serves any number of pipelines.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Document, Fingerprint, HashingEmbedder, Index, VectorIndex};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// let index = VectorIndex::open(folder.path(), Arc::new(HashingEmbedder::default())).await?;
/// let queue = Passage::new("A full queue sheds its oldest request.", Source::new("queue.md"), 0.0);
/// let trim = Passage::new("Trimming removes blanks.", Source::new("trim.md"), 0.0);
/// index.put(vec![Document::new("queue.md", Fingerprint(1), vec![queue])]).await?;
/// index.put(vec![Document::new("trim.md", Fingerprint(2), vec![trim])]).await?;
/// index.commit().await?;
///
/// let found = index.retrieve(&Query::new("Which queue sheds a request?", NonZeroUsize::MIN)).await?;
/// assert_eq!(found[0].source.document, "queue.md");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone)]
pub struct VectorIndex(Arc<Inner>);

struct Inner {
    /// `None` in memory.
    path: Option<PathBuf>,
    embedder: Arc<dyn Embedder>,
    /// The embedder's name when the index was opened, which its vectors go by.
    name: String,
    store: Store,
    committed: RwLock<Arc<Snapshot>>,
    /// Taken before `committed` by whoever takes both.
    changes: Mutex<Changes>,
    /// Held by the commit that is being made.
    committing: Arc<AsyncMutex<()>>,
    /// As many as searches that may run at once.
    searches: Arc<Semaphore>,
}

impl VectorIndex {
    /// Opens the index in a folder, which is made where there is none.
    ///
    /// All that was committed is there, also after a process was killed, and nothing else. The file is
    /// checked for damage, and vectors and graph are read, on one of Tokio's blocking threads; both take longer the more
    /// there is.
    ///
    /// # Errors
    ///
    /// - [`Locked`](crate::IndexErrorKind::Locked) where the index is open already, here or in another process;
    /// - [`Incompatible`](crate::IndexErrorKind::Incompatible) where it holds vectors of an embedder of another name;
    /// - [`NotAFolder`](crate::IndexErrorKind::NotAFolder) where the path names a file;
    /// - [`Storage`](crate::IndexErrorKind::Storage) where it cannot be read or written, or is damaged.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub async fn open(path: impl AsRef<Path>, embedder: Arc<dyn Embedder>) -> Result<Self, IndexError> {
        let path = path.as_ref().to_owned();
        let work = {
            let (path, name) = (path.clone(), embedder.name().to_owned());
            move || {
                let store = Store::open(&path)?;
                let snapshot = store.read(&name, Some(&path))?;
                Ok((name, store, snapshot))
            }
        };
        let (name, store, snapshot) = blocking(Some(&path), work).await?;
        Ok(Self::new(Some(path), embedder, name, store, snapshot))
    }

    /// Makes an empty index that lives as long as its handles.
    ///
    /// It is the same as the one on disk, without the file: texts lie in tables in memory, and commits are all or nothing.
    pub fn in_memory(embedder: Arc<dyn Embedder>) -> Self {
        let name = embedder.name().to_owned();
        Self::new(None, embedder, name, Store::in_memory(), Snapshot::empty())
    }

    fn new(path: Option<PathBuf>, embedder: Arc<dyn Embedder>, name: String, store: Store, snapshot: Snapshot) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            path,
            embedder,
            name,
            store,
            committed: RwLock::new(Arc::new(snapshot)),
            changes: Mutex::default(),
            committing: Arc::default(),
            searches: Arc::new(Semaphore::new(cores)),
        }))
    }

    /// Returns how many passages a search sees.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.committed().len
    }

    /// Returns whether a search sees no passage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn committed(&self) -> Arc<Snapshot> {
        self.committed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails where the embedder has changed its name since the index was opened.
    fn check_embedder(&self) -> Result<(), IndexError> {
        let given = self.embedder.name();
        if given == self.name {
            return Ok(());
        }
        let stored = format!("vectors of `{}`", self.name);
        Err(fault::incompatible(self.path(), "embedder", format_args!("`{given}`"), stored))
    }

    /// Returns the documents that the next commit leaves.
    fn documents(&self) -> BTreeMap<String, Fingerprint> {
        let (changes, committed) = {
            let changes = self.changes();
            (changes.clone(), self.committed())
        };
        changes.over(&committed.documents)
    }

    /// Returns the length of the vectors, where there has been one.
    fn dimensions(&self) -> Option<usize> {
        let gathered = self.changes().dimensions();
        gathered.or_else(|| Some(self.committed().dimensions()).filter(|dimensions| *dimensions > 0))
    }

    /// Makes what has gathered the committed state; what cannot be stays gathered.
    fn commit(&self, stop: &CancellationToken) -> Result<(), IndexError> {
        let changes = self.changes().clone();
        if changes.documents.is_empty() {
            return Ok(());
        }
        let base = self.committed();
        let draft = Draft::new(&base, &changes).link(|| !stop.is_cancelled()).map_err(|stopped| match stopped {
            Stopped::Unwanted => fault::interrupted(self.path()),
            Stopped::Failed(error) => fault::engine(self.path(), error),
        })?;
        let written = self.store.write(&base, &draft, &self.name);
        let passages = written.map_err(|error| fault::storage(self.path(), error))?;
        let snapshot = Arc::new(draft.into_snapshot(passages));
        let mut gathered = self.changes();
        gathered.committed(&changes);
        *self.committed.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }
}

/// # Panics
///
/// `documents` and `commit` panic outside a Tokio runtime.
impl Index for VectorIndex {
    async fn documents(&self) -> Result<BTreeMap<String, Fingerprint>, IndexError> {
        let inner = self.0.clone();
        blocking(self.0.path(), move || Ok(inner.documents())).await
    }

    /// Embeds the passages, 64 texts at a time, and puts the documents in once all are embedded.
    ///
    /// # Errors
    ///
    /// [`Embedder`](crate::IndexErrorKind::Embedder) where the embedder fails or its vectors cannot be used: too few,
    /// empty, not finite, zero. [`Incompatible`](crate::IndexErrorKind::Incompatible) where they are of another length than
    /// those before, or the embedder has another name than when the index was opened. Then none of the documents is put in.
    async fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        let inner = &*self.0;
        inner.check_embedder()?;
        let passages: Vec<&Passage> = documents.iter().flat_map(|document| &document.passages).collect();
        let vectors = embed_passages(&*inner.embedder, &passages, inner.dimensions(), inner.path()).await?;
        let mut vectors = vectors.into_iter();
        let embedded = documents.into_iter().map(|document| {
            let vectors = vectors.by_ref().take(document.passages.len()).collect();
            Embedded { document, vectors }
        });
        let embedded: Vec<Embedded> = embedded.collect();
        let given = embedded.iter().flat_map(|embedded| &embedded.vectors).map(|vector| vector.len()).next();
        // Another put may have been the first meanwhile, with vectors of another length.
        let stored = inner.dimensions();
        let mut changes = inner.changes();
        if let (Some(given), Some(stored)) = (given, changes.dimensions().or(stored))
            && given != stored
        {
            return Err(fault::incompatible(inner.path(), "dimensions", given, stored));
        }
        embedded.into_iter().for_each(|embedded| changes.put(embedded));
        Ok(())
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), IndexError> {
        let mut changes = self.0.changes();
        names.into_iter().for_each(|name| changes.remove(name));
        Ok(())
    }

    /// Links the new vectors and writes what has changed in one transaction.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::IndexErrorKind::Storage) where the index cannot be written: a disk that is full leaves what was
    /// committed before, and the changes as they were, for another try. After an error of the disk itself every commit
    /// fails, and so may searches, until the index is opened anew.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the commit up while vectors are linked, and the changes stay; a transaction that is being
    /// written is finished.
    async fn commit(&self) -> Result<(), IndexError> {
        let inner = self.0.clone();
        let turn = inner.committing.clone().lock_owned().await;
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let path = self.0.path();
        blocking(path, move || {
            let done = inner.commit(&stop);
            drop(turn);
            done
        })
        .await
    }
}

impl Retriever for VectorIndex {
    type Error = IndexError;

    /// Finds the nearest passages. An empty index asks its embedder for nothing.
    ///
    /// # Errors
    ///
    /// As [`put`](Index::put), of the question's vector; [`Storage`](crate::IndexErrorKind::Storage) where a passage cannot
    /// be read, which is so for all that are not in memory once a commit has met an error of the disk.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, IndexError> {
        let snapshot = self.0.committed();
        if snapshot.len == 0 {
            return Ok(Vec::new());
        }
        let inner = self.0.clone();
        inner.check_embedder()?;
        let vector = embed_query(&*inner.embedder, &query.text, snapshot.dimensions(), inner.path()).await?;
        let running = inner.searches.clone().acquire_owned().await;
        let query = query.clone();
        blocking(self.0.path(), move || {
            let found = snapshot.search(&vector, &query, inner.path());
            drop(running);
            found
        })
        .await
    }
}

impl fmt::Debug for VectorIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorIndex")
            .field("path", &self.0.path)
            .field("embedder", &self.0.embedder.name())
            .field("passages", &self.len())
            .finish_non_exhaustive()
    }
}
