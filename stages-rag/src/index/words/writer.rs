use std::collections::BTreeMap;

use orchestrator_core::retrieval::Passage;
use tantivy::directory::Directory;
use tantivy::directory::error::LockError;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergeCandidate, MergePolicy, NoMergePolicy};
use tantivy::{Index, IndexWriter, TantivyError};

use super::key;
use super::language::{Language, Languages};
use super::schema::{Entry, FINGERPRINT, Fields, PLACE};
use super::snapshot::{Snapshot, for_each_term};
use crate::index::blocking::patiently;
use crate::index::{Document, Fingerprint};

/// What the terms of uncommitted passages may take before they are written out, in bytes.
const INDEXING_BYTES: usize = 50_000_000;

/// A segment is merged away once this part of it has been taken out.
const MOST_REMOVED: f32 = 0.3;

/// What the index holds, by document, and the changes since the last commit.
#[derive(Default)]
pub(super) struct Desk {
    committed: BTreeMap<String, Fingerprint>,
    next_place: u64,
    changes: Option<Changes>,
}

/// Dropping them takes them back.
struct Changes {
    writer: IndexWriter,
    /// The documents put in, and those taken out.
    documents: BTreeMap<String, Option<Fingerprint>>,
}

impl Desk {
    /// Reads what an index holds.
    pub(super) fn read(fields: &Fields, snapshot: &Snapshot) -> tantivy::Result<Self> {
        let mut desk = Self::default();
        let searcher = snapshot.searcher();
        for (number, segment) in (0..).zip(searcher.segment_readers()) {
            let places = segment.fast_fields().u64(PLACE)?;
            if segment.max_doc() > 0 {
                desk.next_place = desk.next_place.max(places.max_value() + 1);
            }
            let fingerprints = segment.fast_fields().u64(FINGERPRINT)?;
            for_each_term(segment, fields.name, |key, alive| {
                let Some(record) = alive.next() else { return Ok(()) };
                let name = match key::name_of(key) {
                    Some(name) => name.to_owned(),
                    None => fields.name(&searcher.doc(tantivy::DocAddress::new(number, record))?).to_owned(),
                };
                let fingerprint = Fingerprint(fingerprints.first(record).unwrap_or_default());
                desk.committed.insert(name, fingerprint);
                Ok(())
            })?;
        }
        Ok(desk)
    }

    /// Returns what the next commit would leave.
    pub(super) fn documents(&self) -> BTreeMap<String, Fingerprint> {
        let mut documents = self.committed.clone();
        if let Some(changes) = &self.changes {
            apply(&mut documents, changes.documents.clone());
        }
        documents
    }

    /// Puts documents in; where that fails, all changes since the last commit are taken back.
    pub(super) fn put(
        &mut self,
        index: &Index,
        fields: &Fields,
        languages: Languages,
        documents: &[Document],
    ) -> tantivy::Result<()> {
        self.change(index, |desk, changes| {
            for Document { name, fingerprint, passages } in documents {
                desk.withdraw(fields, changes, name);
                let language = languages.of(passages.iter());
                for passage in passages {
                    desk.add(fields, changes, name, *fingerprint, Some((language, passage)))?;
                }
                if passages.is_empty() {
                    desk.add(fields, changes, name, *fingerprint, None)?;
                }
                changes.documents.insert(name.clone(), Some(*fingerprint));
            }
            Ok(())
        })
    }

    /// Puts passages of any documents into an empty index, in their order.
    pub(super) fn fill(
        &mut self,
        index: &Index,
        fields: &Fields,
        passages: &[Passage],
        documents: &BTreeMap<&str, (Language, Fingerprint)>,
    ) -> tantivy::Result<()> {
        self.change(index, |desk, changes| {
            for passage in passages {
                let name = passage.source.document.as_str();
                let (language, fingerprint) = documents[name];
                desk.add(fields, changes, name, fingerprint, Some((language, passage)))?;
            }
            let documents = documents.iter().map(|(name, (_, fingerprint))| ((*name).to_owned(), Some(*fingerprint)));
            changes.documents.extend(documents);
            Ok(())
        })
    }

    /// Takes documents out; where that fails, all changes since the last commit are taken back.
    pub(super) fn remove(&mut self, index: &Index, fields: &Fields, names: &[String]) -> tantivy::Result<()> {
        self.change(index, |desk, changes| {
            for name in names {
                if desk.withdraw(fields, changes, name) {
                    changes.documents.insert(name.clone(), None);
                }
            }
            Ok(())
        })
    }

    /// Makes the changes durable, and hands on what may tidy up behind them.
    ///
    /// Where it fails, it is for the caller to read what is there.
    pub(super) fn commit(&mut self, index: &Index) -> tantivy::Result<Option<Tidying>> {
        let Some(Changes { mut writer, documents }) = self.changes.take() else { return Ok(None) };
        writer.commit()?;
        // The engine renames a file into place; the folder is to know that, too, if the power fails now.
        index.directory().sync_directory()?;
        apply(&mut self.committed, documents);
        Ok(Some(Tidying(writer)))
    }

    fn change(
        &mut self,
        index: &Index,
        make: impl FnOnce(&mut Self, &mut Changes) -> tantivy::Result<()>,
    ) -> tantivy::Result<()> {
        let mut changes = match self.changes.take() {
            Some(changes) => changes,
            None => Changes { writer: writer(index)?, documents: BTreeMap::new() },
        };
        make(self, &mut changes)?;
        self.changes = Some(changes);
        Ok(())
    }

    /// Takes a document out, if it is there.
    fn withdraw(&self, fields: &Fields, changes: &Changes, name: &str) -> bool {
        let there = match changes.documents.get(name) {
            Some(changed) => changed.is_some(),
            None => self.committed.contains_key(name),
        };
        if there {
            changes.writer.delete_term(fields.name_term(name));
        }
        there
    }

    fn add(
        &mut self,
        fields: &Fields,
        changes: &Changes,
        name: &str,
        fingerprint: Fingerprint,
        passage: Option<(Language, &Passage)>,
    ) -> tantivy::Result<()> {
        let place = self.next_place;
        self.next_place += 1;
        changes.writer.add_document(fields.record(&Entry { name, fingerprint, place, passage }))?;
        Ok(())
    }
}

fn apply(documents: &mut BTreeMap<String, Fingerprint>, changes: BTreeMap<String, Option<Fingerprint>>) {
    for (name, change) in changes {
        match change {
            Some(fingerprint) => documents.insert(name, fingerprint),
            None => documents.remove(&name),
        };
    }
}

/// Opens a writer of one indexing thread, which merges when it is told to and never else.
fn writer(index: &Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(INDEXING_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build();
    // The folder is ours, and so is the engine's own lock in it.
    let is_held = |error: &TantivyError| matches!(error, TantivyError::LockFailure(LockError::LockBusy, _));
    let writer = patiently(|| index.writer_with_options(options.clone()), is_held)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    Ok(writer)
}

/// What is left to do behind a commit.
pub(super) struct Tidying(IndexWriter);

impl Tidying {
    /// Merges the segments that are many or hollow, and ends the writer's threads.
    ///
    /// What was committed stays as it is, and stays searchable; the next commit tries again where this fails.
    pub(super) fn run(self, index: &Index) {
        let Self(mut writer) = self;
        if let Err(error) = merge(index, &mut writer).and_then(|()| writer.wait_merging_threads()) {
            tracing::warn!(%error, "segments of the index were not merged");
        }
    }
}

fn merge(index: &Index, writer: &mut IndexWriter) -> Result<(), TantivyError> {
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(MOST_REMOVED);
    for MergeCandidate(segments) in policy.compute_merge_candidates(&index.searchable_segment_metas()?) {
        writer.merge(&segments).wait()?;
    }
    Ok(())
}
