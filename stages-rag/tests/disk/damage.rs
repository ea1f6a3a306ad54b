//! Files that somebody or something has changed.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Index, IndexErrorKind};
use tempfile::TempDir;

use super::{commit, folder, open, put, remove};

async fn committed() -> TempDir {
    let folder = folder();
    let index = open(&folder).await;
    put(&index, &[("a", "one needle|two needles"), ("b", "a pin"), ("c", "thread")]).await;
    commit(&index).await;
    put(&index, &[("d", "a needle's eye")]).await;
    remove(&index, &["b"]).await;
    commit(&index).await;
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| fs::metadata(path).expect("a file").len() > 0);
    files.sort();
    files
}

fn copy(folder: &Path) -> TempDir {
    let copy = super::folder();
    for file in fs::read_dir(folder).expect("a folder") {
        let file = file.expect("an entry").path();
        fs::copy(&file, copy.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    copy
}

/// Opens and searches an index; returns what is found, or the kind of the first fault.
async fn look(folder: &TempDir) -> Result<Vec<Passage>, IndexErrorKind> {
    let index = Bm25Index::open(folder.path()).await.map_err(|error| error.kind())?;
    let query = Query::new("needle thread pin", NonZeroUsize::MAX);
    index.retrieve(&query).await.map_err(|error| error.kind())
}

/// The engine's own lists: not every change in them can be told from a right one.
fn is_list(file: &Path) -> bool {
    ["meta.json", ".managed.json"].iter().any(|list| file.ends_with(list))
}

/// A byte behind a file's contents that says nothing may change; what is found does not.
#[tokio::test]
async fn a_changed_byte_is_found_when_the_index_is_opened() {
    let whole = committed().await;
    let there = look(&whole).await.expect("it is whole");
    assert_eq!(there.len(), 4);
    let mut random = fastrand::Rng::with_seed(3);
    for file in files(whole.path()) {
        for _ in 0..12 {
            let damaged = copy(whole.path());
            let path = damaged.path().join(file.file_name().expect("a name"));
            let mut bytes = fs::read(&path).expect("read");
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
            fs::write(&path, bytes).expect("written");
            match look(&damaged).await {
                Ok(found) => assert!(found == there || is_list(&file), "{} at {at}: {found:?}", file.display()),
                Err(IndexErrorKind::Storage) => {}
                Err(IndexErrorKind::Incompatible) => assert!(is_list(&file) || file.ends_with("format")),
                Err(other) => panic!("{} at {at}: {other:?}", file.display()),
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_gone_is_a_fault_of_storage() {
    let whole = committed().await;
    for file in files(whole.path()) {
        for part in [Some(0), Some(1), Some(2), None] {
            let damaged = copy(whole.path());
            let path = damaged.path().join(file.file_name().expect("a name"));
            let length = fs::metadata(&path).expect("a file").len();
            match part {
                Some(part) => {
                    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(length * part / 3))
                }
                None => fs::remove_file(&path),
            }
            .expect("damaged");
            let found = look(&damaged).await;
            let expected = match (file.file_name().and_then(|name| name.to_str()), part) {
                (Some("format"), Some(2) | None) => found == Err(IndexErrorKind::Incompatible),
                // Says only what may be deleted.
                (Some(".managed.json"), None) => found.is_ok(),
                _ => found == Err(IndexErrorKind::Storage),
            };
            assert!(expected, "{} {part:?}: {found:?}", file.display());
        }
    }
}

#[tokio::test]
async fn a_commit_that_fails_changes_nothing() {
    let folder = committed().await;
    let index = open(&folder).await;
    let query = Query::new("needle thread pin", NonZeroUsize::MAX);
    let before = index.retrieve(&query).await.expect("found");
    let documents = super::documents(&index).await;

    fs::rename(folder.path(), folder.path().with_extension("away")).expect("moved");
    let put = index.put(vec![super::document("a", "pins")]).await;
    let error = match put {
        Ok(()) => index.commit().await.expect_err("there is nowhere to write"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), IndexErrorKind::Storage);
    assert_eq!(super::documents(&index).await, documents);
    assert_eq!(index.retrieve(&query).await.expect("found"), before);

    fs::rename(folder.path().with_extension("away"), folder.path()).expect("moved back");
    super::put(&index, &[("a", "pins")]).await;
    commit(&index).await;
    assert_eq!(super::found(&index, "pin").await, ["pins"]);
}
