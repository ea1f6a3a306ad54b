//! The index over words as one that is changed, on disk and in memory, through the public API.

mod changes;
mod damage;
mod kill;
mod sharing;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Document, Fingerprint, Index};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn open(folder: &TempDir) -> Bm25Index {
    Bm25Index::open(folder.path()).await.expect("an index")
}

/// A document whose fingerprint is its text's length, cut at `|`.
fn document(name: &str, text: &str) -> Document {
    let passages = text.split('|').filter(|part| !part.is_empty());
    let passages = passages.map(|part| Passage::new(part, Source::new(name), 0.0)).collect();
    Document::new(name, Fingerprint(text.len() as u64), passages)
}

async fn put(index: &Bm25Index, documents: &[(&str, &str)]) {
    let documents = documents.iter().map(|(name, text)| document(name, text)).collect();
    index.put(documents).await.expect("put");
}

async fn commit(index: &Bm25Index) {
    index.commit().await.expect("committed");
}

async fn remove(index: &Bm25Index, names: &[&str]) {
    index.remove(names.iter().map(ToString::to_string).collect()).await.expect("removed");
}

async fn search(index: &Bm25Index, query: &str) -> Vec<Passage> {
    let limit = NonZeroUsize::new(1_000).expect("not zero");
    index.retrieve(&Query::new(query, limit)).await.expect("a query never fails")
}

/// The texts that are found, in order.
async fn found(index: &Bm25Index, query: &str) -> Vec<String> {
    search(index, query).await.into_iter().map(|passage| passage.text).collect()
}

async fn documents(index: &Bm25Index) -> BTreeMap<String, Fingerprint> {
    index.documents().await.expect("documents")
}

async fn names(index: &Bm25Index) -> Vec<String> {
    documents(index).await.into_keys().collect()
}
