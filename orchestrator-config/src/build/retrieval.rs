//! The indexes of the folders that pipelines search.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stages_rag::{Bm25Index, Folder, IndexError, Watch};
use tokio_util::task::AbortOnDropHandle;

use super::ConnectError;
use crate::file::{Config, Rag, Stage};

/// An index, and what keeps it up to date.
pub(super) struct Shelf {
    pub(super) index: Bm25Index,
    _follower: Option<AbortOnDropHandle<()>>,
}

/// Indexes by their folders.
pub(super) type Shelves = BTreeMap<PathBuf, Arc<Shelf>>;

/// Opens the index of every folder, and brings it up to date.
pub(super) async fn open(config: &Config) -> Result<Shelves, ConnectError> {
    let mut shelves = Shelves::new();
    for rag in folders(config) {
        if shelves.contains_key(&rag.docs) {
            continue;
        }
        let failed = |source| ConnectError::Documents { folder: rag.docs.display().to_string(), source };
        shelves.insert(rag.docs.clone(), Arc::new(shelf(rag).await.map_err(failed)?));
    }
    Ok(shelves)
}

/// The stages that search folders, with what they say of them.
pub(super) fn folders(config: &Config) -> impl Iterator<Item = &Rag> {
    let stages = config.pipelines.values().flat_map(|pipeline| &pipeline.stages);
    stages.filter_map(|stage| match stage {
        Stage::Rag(rag) => Some(rag),
        _ => None,
    })
}

async fn shelf(rag: &Rag) -> Result<Shelf, IndexError> {
    let index = match &rag.index {
        Some(path) => Bm25Index::open(path).await?,
        None => Bm25Index::in_memory()?,
    };
    let folder = Folder::new(&rag.docs);
    if !rag.watch {
        let report = folder.sync(&index).await?;
        told(&rag.docs, &report.to_string());
        return Ok(Shelf { index, _follower: None });
    }
    let mut watch = folder.watch(index.clone()).await?;
    if let Some(report) = watch.next().await.transpose()? {
        told(&rag.docs, &report.to_string());
    }
    let follower = tokio::spawn(follow(rag.docs.clone(), watch));
    Ok(Shelf { index, _follower: Some(AbortOnDropHandle::new(follower)) })
}

/// Says what becomes of the index, and where its folder can no longer be read.
async fn follow(folder: PathBuf, mut watch: Watch) {
    while let Some(synced) = watch.next().await {
        match synced {
            Ok(report) => told(&folder, &report.to_string()),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(folder = %folder.display(), error, "documents cannot be read; the index stays as it is");
            }
        }
    }
}

fn told(folder: &Path, report: &str) {
    tracing::info!(folder = %folder.display(), report, "documents are indexed");
}
