//! An index that follows a folder, with real files.
#![cfg(feature = "watch")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{MemoryIndex, folder, write};
use stages_rag::{Folder, IndexErrorKind, SkipReason, SyncReport, Watch};

/// Quiet for a moment is quiet enough here.
fn following(root: &Path) -> Folder {
    Folder::new(root).debounce(Duration::from_millis(30), Duration::from_secs(2))
}

async fn next(watch: &mut Watch) -> SyncReport {
    let next = tokio::time::timeout(Duration::from_secs(30), watch.next()).await;
    next.expect("in time").expect("it goes on").expect("a sync")
}

/// Waits until the index holds these: the system may tell of one change in two parts.
async fn until(watch: &mut Watch, index: &MemoryIndex, names: &[&str]) {
    while index.names() != names {
        next(watch).await;
    }
}

#[tokio::test]
async fn changes_reach_the_index() {
    let docs = folder(&[("a.md", b"one"), ("sub/b.txt", b"two")]);
    let index = MemoryIndex::default();
    let mut watch = following(docs.path()).watch(index.clone()).await.expect("a watch");
    assert_eq!(index.names(), ["a.md", "sub/b.txt"]);
    assert_eq!(next(&mut watch).await.added, 2);

    write(docs.path(), "c.md", b"three");
    until(&mut watch, &index, &["a.md", "c.md", "sub/b.txt"]).await;

    write(docs.path(), "a.md", b"changed");
    while index.text("a.md") != "changed" {
        next(&mut watch).await;
    }

    fs::rename(docs.path().join("a.md"), docs.path().join("sub/d.md")).expect("renamed");
    until(&mut watch, &index, &["c.md", "sub/b.txt", "sub/d.md"]).await;
    assert_eq!(index.text("sub/d.md"), "changed");

    fs::remove_file(docs.path().join("sub/b.txt")).expect("removed");
    until(&mut watch, &index, &["c.md", "sub/d.md"]).await;

    let other = folder(&[("deep/er/e.md", b"moved in"), ("f.md", b"too")]);
    fs::rename(other.path(), docs.path().join("in")).expect("moved in");
    until(&mut watch, &index, &["c.md", "in/deep/er/e.md", "in/f.md", "sub/d.md"]).await;
    // What was moved in is watched, too.
    write(docs.path(), "in/deep/er/g.md", b"later");
    until(&mut watch, &index, &["c.md", "in/deep/er/e.md", "in/deep/er/g.md", "in/f.md", "sub/d.md"]).await;
    fs::rename(docs.path().join("in"), other.path()).expect("moved out");
    until(&mut watch, &index, &["c.md", "sub/d.md"]).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_reported_when_it_comes_and_when_it_goes() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let mut watch = following(docs.path()).watch(index.clone()).await.expect("a watch");
    next(&mut watch).await;
    write(docs.path(), "logo.md", b"\0");
    let report = next(&mut watch).await;
    assert_eq!((report.skipped.len(), report.has_changes()), (1, false));
    assert_eq!(report.skipped[0].reason, SkipReason::Binary);
    fs::remove_file(docs.path().join("logo.md")).expect("removed");
    assert!(next(&mut watch).await.skipped.is_empty());
}

#[tokio::test]
async fn a_burst_of_changes_is_one_sync() {
    let docs = folder(&[]);
    let index = MemoryIndex::default();
    let quiet = Folder::new(docs.path()).debounce(Duration::from_millis(500), Duration::from_secs(30));
    let mut watch = quiet.watch(index.clone()).await.expect("a watch");
    next(&mut watch).await;
    for i in 0..50 {
        write(docs.path(), &format!("{i}.md"), b"text");
    }
    assert_eq!(next(&mut watch).await.added, 50);
    assert_eq!(index.commits(), 1);
}

#[tokio::test]
async fn an_error_is_reported_and_the_next_change_makes_up_for_it() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let mut watch = following(docs.path()).watch(index.clone()).await.expect("a watch");
    next(&mut watch).await;
    index.fail(true);
    write(docs.path(), "b.md", b"two");
    let failed = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("in time");
    assert_eq!(failed.expect("it goes on").expect_err("it fails").kind(), IndexErrorKind::NotFound);
    index.fail(false);
    write(docs.path(), "c.md", b"three");
    until(&mut watch, &index, &["a.md", "b.md", "c.md"]).await;
}

#[tokio::test]
async fn a_dropped_watch_lets_go_of_its_index() {
    let docs = folder(&[("a.md", b"one")]);
    let index = std::sync::Arc::new(());
    let held = Held(MemoryIndex::default(), index.clone());
    let watch = following(docs.path()).watch(held).await.expect("a watch");
    assert_eq!(std::sync::Arc::strong_count(&index), 2);
    drop(watch);
    while std::sync::Arc::strong_count(&index) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_cannot_be_watched() {
    let docs = folder(&[]);
    let missing = Folder::new(docs.path().join("missing")).watch(MemoryIndex::default()).await;
    assert_eq!(missing.expect_err("missing").kind(), IndexErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_removed_and_made_again_is_watched_again() {
    let outer = folder(&[("docs/a.md", b"one")]);
    let root = outer.path().join("docs");
    let index = MemoryIndex::default();
    let mut watch = following(&root).watch(index.clone()).await.expect("a watch");
    fs::remove_dir_all(&root).expect("removed");
    write(outer.path(), "docs/b.md", b"two");
    // While time is paused nothing is waited for, be it a retry or the next look.
    while index.names() != ["b.md"] {
        let _ = watch.next().await.expect("it goes on");
    }
    // From here on a look is further away than this test waits.
    tokio::time::resume();
    write(&root, "c.md", b"three");
    until(&mut watch, &index, &["b.md", "c.md"]).await;
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_leads_elsewhere_is_followed_there() {
    use std::os::unix::fs::symlink;
    let outer = folder(&[("old/a.md", b"one"), ("new/b.md", b"two")]);
    let root = outer.path().join("docs");
    symlink("old", &root).expect("a link");
    let index = MemoryIndex::default();
    let mut watch = following(&root).watch(index.clone()).await.expect("a watch");
    // The system tells nothing of this.
    symlink("new", outer.path().join("next")).expect("a link");
    fs::rename(outer.path().join("next"), &root).expect("switched");
    while index.names() != ["b.md"] {
        let _ = watch.next().await.expect("it goes on");
    }
    tokio::time::resume();
    write(outer.path(), "new/c.md", b"three");
    until(&mut watch, &index, &["b.md", "c.md"]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn mounted_files_that_are_switched_by_a_link_are_read_again() {
    use std::os::unix::fs::symlink;
    let docs = folder(&[("..1/a.md", b"one"), ("..2/a.md", b"two")]);
    symlink("..1", docs.path().join("..data")).expect("a link");
    symlink("..data/a.md", docs.path().join("a.md")).expect("a link");
    let index = MemoryIndex::default();
    let mut watch = following(docs.path()).watch(index.clone()).await.expect("a watch");
    assert_eq!(index.text("a.md"), "one");
    symlink("..2", docs.path().join("..next")).expect("a link");
    fs::rename(docs.path().join("..next"), docs.path().join("..data")).expect("switched");
    while index.text("a.md") != "two" {
        next(&mut watch).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_are_no_fault() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let patient = Folder::new(docs.path()).debounce(Duration::from_millis(30), Duration::MAX);
    let mut watch = patient.watch(index.clone()).await.expect("a watch");
    write(docs.path(), "b.md", b"two");
    while index.names() != ["a.md", "b.md"] {
        let _ = watch.next().await.expect("it goes on");
    }
}

/// An index that shows whether somebody still has it.
struct Held(MemoryIndex, #[expect(dead_code, reason = "its count is what is looked at")] std::sync::Arc<()>);

impl stages_rag::Index for Held {
    async fn documents(
        &self,
    ) -> Result<std::collections::BTreeMap<String, stages_rag::Fingerprint>, stages_rag::IndexError> {
        self.0.documents().await
    }

    async fn put(&self, documents: Vec<stages_rag::Document>) -> Result<(), stages_rag::IndexError> {
        self.0.put(documents).await
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), stages_rag::IndexError> {
        self.0.remove(names).await
    }

    async fn commit(&self) -> Result<(), stages_rag::IndexError> {
        self.0.commit().await
    }
}
