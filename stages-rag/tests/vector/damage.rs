//! Files that somebody or something has changed.

use std::fs;
use std::path::Path;

use orchestrator_core::prelude::*;
use stages_rag::{Index, IndexErrorKind, VectorIndex};

use crate::common::*;

/// The bytes of a file of several commits.
async fn committed() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path()).await;
    for (name, texts) in [("a", ["1 0", "0 1"]), ("b", ["1 1", "2 1"]), ("c", ["1 2", "3 1"])] {
        put(&index, name, &texts).await;
        index.commit().await.expect("committed");
    }
    index.remove(vec!["b".to_owned()]).await.expect("removed");
    index.commit().await.expect("committed");
    drop(index);
    fs::read(folder.path().join("vectors.redb")).expect("read")
}

/// Opens and searches an index; returns what is found, or the kind of the first fault.
async fn look(folder: &Path) -> Result<Vec<String>, IndexErrorKind> {
    let index = VectorIndex::open(folder, spelled()).await.map_err(|error| error.kind())?;
    let found = index.retrieve(&query("1 0", 10)).await.map_err(|error| error.kind())?;
    Ok(found.into_iter().map(|passage| passage.text).collect())
}

async fn look_at(bytes: &[u8]) -> Result<Vec<String>, IndexErrorKind> {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("vectors.redb"), bytes).expect("written");
    look(folder.path()).await
}

fn check(found: &Result<Vec<String>, IndexErrorKind>, there: &[String], what: &str) {
    match found {
        Ok(found) => assert_eq!(found, there, "{what}"),
        Err(kind) => {
            assert!(matches!(kind, IndexErrorKind::Storage | IndexErrorKind::Incompatible), "{what}: {kind:?}")
        }
    }
}

#[tokio::test]
async fn a_changed_byte_is_found_or_changes_nothing() {
    let whole = committed().await;
    let there = look_at(&whole).await.expect("it is whole");
    assert_eq!(there, ["1 0", "3 1", "1 2", "0 1"]);
    let mut random = fastrand::Rng::with_seed(3);
    // Most of the file is room; what is written is where the bytes are.
    let written: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut faults = 0;
    for _ in 0..400 {
        let at = written[random.usize(..written.len())];
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.u8(..8);
        let found = look_at(&bytes).await;
        check(&found, &there, &format!("at {at}"));
        faults += u32::from(found.is_err());
    }
    assert!(faults > 0, "no change was found");
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_a_fault_of_storage() {
    let whole = committed().await;
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..40 {
        let length = random.usize(1..whole.len());
        let found = look_at(&whole[..length]).await;
        assert_eq!(found, Err(IndexErrorKind::Storage), "cut at {length}");
    }
}
