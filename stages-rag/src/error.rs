//! What can go wrong while an index is built or searched.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use orchestrator_core::error::{BoxError, WorkerError};

use crate::corpus::SkippedFile;

/// What kind of fault an [`IndexError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexErrorKind {
    /// The folder does not exist.
    NotFound,
    /// What the path names is not a folder.
    NotAFolder,
    /// The folder cannot be listed.
    Unreadable,
    /// The folder holds no document with text; [`IndexError::skipped`] says what was passed over.
    NoDocuments,
    /// The search engine failed.
    Engine,
    /// The index on disk cannot be read or written.
    Storage,
    /// Another process, or another handle of this one, has the index on disk open for writing, and still had after half a
    /// second.
    Locked,
    /// What is on disk was made by another version, with other settings or by another embedder.
    Incompatible,
    /// The embedder failed; the source is its [`WorkerError`](orchestrator_core::error::WorkerError).
    Embedder,
    /// The runtime stopped, or the caller left, before the index was built.
    Interrupted,
    /// The system does not say when the folder changes.
    Unwatchable,
}

/// An index that could not be built or searched.
///
/// Messages follow "failed to index the documents: ..".
#[derive(Debug)]
pub struct IndexError {
    kind: IndexErrorKind,
    path: Option<PathBuf>,
    skipped: Vec<SkippedFile>,
    source: Option<BoxError>,
}

impl IndexError {
    pub(crate) fn new(kind: IndexErrorKind, path: Option<&Path>, source: Option<BoxError>) -> Self {
        Self { kind, path: path.map(Path::to_owned), skipped: Vec::new(), source }
    }

    /// The corpus folder cannot be listed.
    pub(crate) fn folder(path: &Path, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => IndexErrorKind::NotFound,
            io::ErrorKind::NotADirectory => IndexErrorKind::NotAFolder,
            _ => IndexErrorKind::Unreadable,
        };
        Self::new(kind, Some(path), Some(error.into()))
    }

    pub(crate) fn no_documents(path: &Path, skipped: Vec<SkippedFile>) -> Self {
        Self { skipped, ..Self::new(IndexErrorKind::NoDocuments, Some(path), None) }
    }

    /// Nobody waits for the index any more, or the runtime has stopped.
    pub(crate) fn interrupted(path: &Path, source: Option<BoxError>) -> Self {
        Self::new(IndexErrorKind::Interrupted, Some(path), source)
    }

    /// The index on disk cannot be read or written.
    pub(crate) fn storage(path: &Path, source: BoxError) -> Self {
        Self::new(IndexErrorKind::Storage, Some(path), Some(source))
    }

    /// Somebody else has the index on disk open.
    pub(crate) fn locked(path: &Path) -> Self {
        Self::new(IndexErrorKind::Locked, Some(path), None)
    }

    /// The index on disk is of another kind.
    pub(crate) fn incompatible(path: &Path, source: BoxError) -> Self {
        Self::new(IndexErrorKind::Incompatible, Some(path), Some(source))
    }

    /// The runtime stopped while the index was at work.
    pub(crate) fn stopped(path: Option<&Path>, source: BoxError) -> Self {
        Self::new(IndexErrorKind::Interrupted, path, Some(source))
    }

    /// The system refuses to watch the folder.
    #[cfg(feature = "watch")]
    pub(crate) fn unwatchable(path: &Path, source: BoxError) -> Self {
        Self::new(IndexErrorKind::Unwatchable, Some(path), Some(source))
    }

    /// Makes the error of an engine that failed, also for an [`Index`](crate::Index) of one's own.
    pub fn engine(source: impl Into<BoxError>) -> Self {
        Self::new(IndexErrorKind::Engine, None, Some(source.into()))
    }

    /// Returns what kind of fault it is.
    #[must_use]
    pub const fn kind(&self) -> IndexErrorKind {
        self.kind
    }

    /// Returns the folder as it was given; `None` where the fault is the search engine's.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns what an embedder reported, where it failed.
    #[must_use]
    pub fn worker_error(&self) -> Option<&WorkerError> {
        self.source.as_ref()?.downcast_ref()
    }

    /// Returns the files that were passed over, where that left no document.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedFile] {
        &self.skipped
    }
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or(Path::new("in memory")).display();
        match self.kind {
            IndexErrorKind::NotFound => write!(f, "folder `{path}` does not exist"),
            IndexErrorKind::NotAFolder => write!(f, "`{path}` is not a folder"),
            IndexErrorKind::Unreadable => write!(f, "folder `{path}` cannot be read"),
            IndexErrorKind::Engine => f.write_str("the search engine failed"),
            IndexErrorKind::Storage => write!(f, "index `{path}` cannot be read or written"),
            IndexErrorKind::Locked => write!(f, "index `{path}` is open elsewhere"),
            IndexErrorKind::Incompatible => write!(f, "index `{path}` was made in another way"),
            IndexErrorKind::Embedder => f.write_str("the embedder failed"),
            IndexErrorKind::Interrupted if self.path.is_none() => f.write_str("interrupted before the index was done"),
            IndexErrorKind::Unwatchable => write!(f, "folder `{path}` cannot be watched"),
            IndexErrorKind::Interrupted => write!(f, "interrupted before folder `{path}` was indexed"),
            IndexErrorKind::NoDocuments => {
                write!(f, "folder `{path}` holds no document with text")?;
                match self.skipped.as_slice() {
                    [] => Ok(()),
                    [first] => write!(f, "; skipped: {first}"),
                    [first, others @ ..] => write!(f, "; skipped: {first}, and {} more", others.len()),
                }
            }
        }
    }
}

impl std::error::Error for IndexError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
