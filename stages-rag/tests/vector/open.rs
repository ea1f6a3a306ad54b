//! Opening, closing and opening again.

use std::fs;
use std::sync::Arc;

use stages_rag::{Index, IndexErrorKind, VectorIndex};

use crate::common::*;

#[tokio::test]
async fn what_was_committed_is_there_again_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(&folder.path().join("made/as/needed")).await;
    put(&index, "a", &["1 0", "0 1"]).await;
    put(&index, "b", &["1 1"]).await;
    index.commit().await.expect("committed");
    index.remove(vec!["b".into()]).await.expect("removed");
    put(&index, "a", &["1 2"]).await;
    index.commit().await.expect("committed");
    put(&index, "c", &["5 5"]).await;
    index.remove(vec!["a".into()]).await.expect("removed");
    drop(index);

    let index = open(&folder.path().join("made/as/needed")).await;
    assert_eq!(names(&index).await, ["a"]);
    assert_eq!(texts(&index, "1 0").await, ["1 2"]);
    put(&index, "c", &["5 5"]).await;
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "1 1").await, ["5 5", "1 2"]);
}

#[tokio::test]
async fn an_index_is_open_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path()).await;
    let second = VectorIndex::open(folder.path(), spelled()).await;
    assert_eq!(kind(second), IndexErrorKind::Locked);
    drop(index);
    open(folder.path()).await;
}

/// A process that is being started has copies of all open files for a moment, and with them their locks.
#[tokio::test]
async fn a_lock_that_lingers_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()).await);
    let file = fs::File::options().append(true).open(folder.path().join("vectors.redb")).expect("opened");
    file.lock().expect("locked");
    let lingers = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(file);
    });
    open(folder.path()).await;
    lingers.join().expect("released");
}

#[tokio::test]
async fn vectors_of_another_embedder_are_not_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = open(folder.path()).await;
    put(&index, "a", &["1 0"]).await;
    index.commit().await.expect("committed");
    drop(index);
    let other = VectorIndex::open(folder.path(), Arc::new(Spelled { name: "other" })).await.expect_err("incompatible");
    assert_eq!(other.kind(), IndexErrorKind::Incompatible);
    assert_eq!(other.path(), Some(folder.path()));
    let source = std::error::Error::source(&other).expect("says what").to_string();
    assert_eq!(source, "`embedder` is `other`, but the index holds vectors of `spelled`");
    assert_eq!(texts(&open(folder.path()).await, "1 0").await, ["1 0"]);
}

#[tokio::test]
async fn a_file_in_the_way_is_told_from_a_damaged_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "text").expect("written");
    assert_eq!(kind(VectorIndex::open(&file, spelled()).await), IndexErrorKind::NotAFolder);
    fs::write(folder.path().join("vectors.redb"), vec![b'x'; 10_000]).expect("written");
    assert_eq!(kind(VectorIndex::open(folder.path(), spelled()).await), IndexErrorKind::Storage);
}

#[tokio::test]
async fn a_graph_is_there_again_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = fastrand::Rng::with_seed(5);
    let vectors: Vec<_> = (0..5_400).map(|_| point(&mut random, 8)).collect();
    let index = open(folder.path()).await;
    index.put(documents(&vectors)).await.expect("put");
    index.commit().await.expect("committed");
    index.remove((0..300).map(|number| number.to_string()).collect()).await.expect("removed");
    index.commit().await.expect("committed");
    let questions: Vec<String> = (0..50).map(|_| spell(&point(&mut random, 8))).collect();
    let mut before = Vec::new();
    for question in &questions {
        before.push(find(&index, question, 10).await);
    }
    drop(index);
    let index = open(folder.path()).await;
    assert_eq!(index.len(), 5_100);
    for (question, before) in questions.iter().zip(before) {
        // The entries of the graph may be others, but at this size every one leads to the nearest.
        assert_eq!(find(&index, question, 10).await, before);
    }
}
