//! What the tests of ingestion share: an index in memory, and folders to read.

#![allow(dead_code, reason = "each test uses a part of it")]

#[cfg(feature = "pdf")]
pub(crate) mod pdf;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use orchestrator_core::retrieval::Passage;
use stages_rag::{Document, Fingerprint, Index, IndexError};
use tempfile::TempDir;

/// Keeps documents in maps, by the contract of [`Index`].
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryIndex(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: BTreeMap<String, Document>,
    committed: BTreeMap<String, Document>,
    /// Commits that changed something.
    commits: usize,
    is_changed: bool,
    /// How many documents came at once at most.
    widest: usize,
    fails: bool,
    refuses_puts: bool,
}

impl MemoryIndex {
    /// The committed documents' names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().expect("a state").committed.keys().cloned().collect()
    }

    /// The committed passages of a document; none where it isn't there.
    pub(crate) fn passages(&self, name: &str) -> Vec<Passage> {
        self.0.lock().expect("a state").committed.get(name).map(|d| d.passages.clone()).unwrap_or_default()
    }

    /// The committed text of a document, piece by piece.
    pub(crate) fn text(&self, name: &str) -> String {
        self.passages(name).iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join("\n\n")
    }

    pub(crate) fn commits(&self) -> usize {
        self.0.lock().expect("a state").commits
    }

    pub(crate) fn widest(&self) -> usize {
        self.0.lock().expect("a state").widest
    }

    /// Makes its commits fail.
    pub(crate) fn fail(&self, fails: bool) {
        self.0.lock().expect("a state").fails = fails;
    }

    pub(crate) fn refuse_puts(&self, refuses: bool) {
        self.0.lock().expect("a state").refuses_puts = refuses;
    }

    /// Forgets what is not committed, as a killed process does.
    pub(crate) fn kill(&self) {
        let mut state = self.0.lock().expect("a state");
        state.next = state.committed.clone();
        state.is_changed = false;
    }
}

impl Index for MemoryIndex {
    async fn documents(&self) -> Result<BTreeMap<String, Fingerprint>, IndexError> {
        let state = self.0.lock().expect("a state");
        Ok(state.next.values().map(|d| (d.name.clone(), d.fingerprint)).collect())
    }

    async fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        let refuses = self.0.lock().expect("a state").refuses_puts;
        if refuses {
            return failure().await;
        }
        let mut state = self.0.lock().expect("a state");
        state.is_changed = true;
        state.widest = state.widest.max(documents.len());
        for document in documents {
            assert!(document.passages.iter().all(|p| p.source.document == document.name));
            assert!(!document.passages.is_empty());
            state.next.insert(document.name.clone(), document);
        }
        Ok(())
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), IndexError> {
        let mut state = self.0.lock().expect("a state");
        names.iter().for_each(|name| state.is_changed |= state.next.remove(name).is_some());
        Ok(())
    }

    async fn commit(&self) -> Result<(), IndexError> {
        let fails = self.0.lock().expect("a state").fails;
        if fails {
            return failure().await;
        }
        let mut state = self.0.lock().expect("a state");
        state.committed = state.next.clone();
        state.commits += usize::from(std::mem::take(&mut state.is_changed));
        Ok(())
    }
}

/// An error with a path, as those of an index on disk have one.
async fn failure() -> Result<(), IndexError> {
    stages_rag::Bm25Index::from_dir("/nowhere/at/all").await.map(drop)
}

pub(crate) fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        write(folder.path(), name, bytes);
    }
    folder
}

pub(crate) fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
    fs::write(path, bytes).expect("written");
}
