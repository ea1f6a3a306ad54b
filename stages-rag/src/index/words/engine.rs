use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use orchestrator_core::retrieval::Passage;
use tantivy::directory::{Directory, DirectoryLock, RamDirectory};
use tantivy::store::Compressor;
use tantivy::tokenizer::{TextAnalyzer, TokenizerManager};
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, TantivyError};

use super::folder;
use super::language::Languages;
use super::schema::{Fields, TOKENIZER};
use super::snapshot::Snapshot;
use super::terms::CodedTexts;
use super::writer::Desk;
use crate::error::IndexError;
use crate::index::{Document, Fingerprint};

/// A tantivy index, what searches see of it, and the changes to it. All of it blocks.
pub(super) struct Engine {
    languages: Languages,
    fields: Fields,
    index: Index,
    reader: IndexReader,
    snapshot: RwLock<Arc<Snapshot>>,
    desk: Mutex<Desk>,
    /// The folder, on disk.
    path: Option<PathBuf>,
    /// Released behind the desk, whose writer ends first.
    _lock: Option<DirectoryLock>,
}

impl Engine {
    /// Opens the index in a folder, which is made where there is none.
    pub(super) fn open(path: &Path, languages: Languages) -> Result<Self, IndexError> {
        let (directory, lock) = folder::open(path, languages)?;
        let engine =
            Self::over(Box::new(directory), Compressor::Lz4, languages).map_err(|error| fault(Some(path), error))?;
        Ok(Self { path: Some(path.to_owned()), _lock: Some(lock), ..engine })
    }

    /// Makes an empty index in memory.
    pub(super) fn in_memory(languages: Languages) -> Result<Self, IndexError> {
        Self::over(Box::new(RamDirectory::create()), Compressor::None, languages).map_err(|error| fault(None, error))
    }

    fn over(directory: Box<dyn Directory>, compressor: Compressor, languages: Languages) -> tantivy::Result<Self> {
        let (fields, schema) = Fields::schema();
        // The fields of keys want the engine's own to be there.
        let tokenizers = TokenizerManager::default();
        tokenizers.register(TOKENIZER, TextAnalyzer::from(CodedTexts::new()));
        let settings = IndexSettings { docstore_compression: compressor, ..IndexSettings::default() };
        let builder = Index::builder().schema(schema).settings(settings).tokenizers(tokenizers);
        let index = builder.open_or_create(directory)?;
        sweep(&index)?;
        if let Some(damaged) = index.validate_checksum()?.into_iter().next() {
            let comment = "its checksum is another one".to_owned();
            return Err(TantivyError::DataCorruption(tantivy::error::DataCorruption::new(damaged, comment)));
        }
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let snapshot = Snapshot::new(fields, reader.searcher())?;
        let desk = Desk::read(&fields, &snapshot)?;
        let snapshot = RwLock::new(Arc::new(snapshot));
        Ok(Self { languages, fields, index, reader, snapshot, desk: Mutex::new(desk), path: None, _lock: None })
    }

    /// Returns the folder of an index on disk.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns what was committed last.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what the next commit would leave.
    pub(super) fn documents(&self) -> BTreeMap<String, Fingerprint> {
        self.desk().documents()
    }

    pub(super) fn put(&self, documents: &[Document]) -> Result<(), IndexError> {
        self.desk().put(&self.index, &self.fields, self.languages, documents).map_err(|error| self.fault(error))
    }

    pub(super) fn remove(&self, names: &[String]) -> Result<(), IndexError> {
        self.desk().remove(&self.index, &self.fields, names).map_err(|error| self.fault(error))
    }

    /// Puts passages into an empty index, and commits.
    pub(super) fn fill(&self, passages: &[Passage]) -> Result<(), IndexError> {
        let mut by_document: BTreeMap<&str, Vec<&Passage>> = BTreeMap::new();
        for passage in passages {
            by_document.entry(&passage.source.document).or_default().push(passage);
        }
        let of_document = |(name, passages): (_, Vec<&Passage>)| {
            (name, (self.languages.of(passages.iter().copied()), fingerprint(&passages)))
        };
        let documents = by_document.into_iter().map(of_document).collect();
        let filled = self.desk().fill(&self.index, &self.fields, passages, &documents);
        filled.map_err(|error| self.fault(error))?;
        self.commit()
    }

    /// Makes all changes visible and durable, or none.
    pub(super) fn commit(&self) -> Result<(), IndexError> {
        let mut desk = self.desk();
        let committed = desk.commit(&self.index).and_then(|tidying| {
            let Some(tidying) = tidying else { return Ok(()) };
            self.refresh()?;
            tidying.run(&self.index);
            self.refresh()
        });
        committed.map_err(|error| {
            // Whether it got as far as the disk is not known: look.
            let look = || {
                sweep(&self.index)?;
                self.refresh()?;
                Desk::read(&self.fields, &self.snapshot())
            };
            match look() {
                Ok(there) => *desk = there,
                Err(error) => tracing::warn!(%error, "the index cannot be read behind a commit that failed"),
            }
            self.fault(error)
        })
    }

    /// Lets searches see what is committed.
    fn refresh(&self) -> tantivy::Result<()> {
        self.reader.reload()?;
        let snapshot = Arc::new(Snapshot::new(self.fields, self.reader.searcher())?);
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }

    /// A panic under this lock has taken the changes with it, so what it leaves is whole.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fault(&self, error: TantivyError) -> IndexError {
        fault(self.path(), error)
    }
}

/// Takes away the files of a commit that did not come to its end.
///
/// The next one would give some of its files the same names, and the engine does not write over any.
fn sweep(index: &Index) -> tantivy::Result<()> {
    let mut alive = index.load_metas()?.list_segment_files();
    alive.insert(PathBuf::from(folder::META));
    index.clone().directory_mut().garbage_collect(|| alive).map(drop)
}

fn fault(path: Option<&Path>, error: TantivyError) -> IndexError {
    match (path, error) {
        (None, error) => IndexError::engine(error),
        (Some(path), error @ (TantivyError::IncompatibleIndex(_) | TantivyError::SchemaError(_))) => {
            IndexError::incompatible(path, error.into())
        }
        (Some(path), error) => IndexError::storage(path, error.into()),
    }
}

/// Tells contents apart that nobody else has told apart.
fn fingerprint(passages: &[&Passage]) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    for passage in passages {
        let source = &passage.source;
        (&passage.text, &source.headings, source.lines, source.page, &passage.metadata).hash(&mut hasher);
    }
    Fingerprint(hasher.finish())
}
