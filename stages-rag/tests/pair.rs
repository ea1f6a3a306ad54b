//! Two indexes, or three, that are kept up to date as one, and what becomes of them when one of them fails.

mod common;

use common::{MemoryIndex, folder, write};
use stages_rag::{Folder, Index, SyncReport};
use tempfile::TempDir;

async fn sync(docs: &TempDir, index: &impl Index) -> SyncReport {
    Folder::new(docs.path()).sync(index).await.expect("a sync")
}

async fn fail_to_sync(docs: &TempDir, index: &impl Index) {
    Folder::new(docs.path()).sync(index).await.expect_err("one of them fails");
}

/// Two indexes that hold the same three documents, and their folder, in which one document is another one since.
async fn one_behind() -> (TempDir, MemoryIndex, MemoryIndex) {
    let docs = folder(&[("a.md", b"one"), ("b.md", b"two"), ("c.md", b"three")]);
    let (first, second) = (MemoryIndex::default(), MemoryIndex::default());
    sync(&docs, &(first.clone(), second.clone())).await;
    write(docs.path(), "a.md", b"uno");
    (docs, first, second)
}

fn check(docs: &TempDir, indexes: &[&MemoryIndex]) {
    for index in indexes {
        let names: Vec<String> = index.names();
        let files = std::fs::read_dir(docs.path()).expect("a folder").count();
        assert_eq!(names.len(), files, "{names:?}");
        for name in names {
            let text = std::fs::read_to_string(docs.path().join(&name)).expect("it is there");
            assert_eq!(index.text(&name), text, "{name}");
        }
    }
}

#[tokio::test]
async fn a_pair_holds_the_same_and_finds_nothing_to_do_twice() {
    let (docs, first, second) = one_behind().await;
    let pair = (first.clone(), second.clone());
    assert_eq!(sync(&docs, &pair).await.to_string(), "0 added, 1 updated, 0 removed, 2 unchanged");
    check(&docs, &[&first, &second]);
    assert!(!sync(&docs, &pair).await.has_changes());
    assert_eq!((first.commits(), second.commits()), (2, 2));
}

#[tokio::test]
async fn a_kill_between_the_two_commits_is_made_up_for() {
    let (docs, first, second) = one_behind().await;
    let pair = (first.clone(), second.clone());
    second.fail(true);
    fail_to_sync(&docs, &pair).await;
    assert_eq!((first.text("a.md"), second.text("a.md")), ("uno".to_owned(), "one".to_owned()));
    first.kill();
    second.kill();
    second.fail(false);
    assert_eq!(sync(&docs, &pair).await.updated, 1);
    check(&docs, &[&first, &second]);
}

#[tokio::test]
async fn a_second_commit_that_failed_is_repeated_though_nothing_differs() {
    let (docs, first, second) = one_behind().await;
    let pair = (first.clone(), second.clone());
    second.fail(true);
    fail_to_sync(&docs, &pair).await;
    second.fail(false);
    assert!(!sync(&docs, &pair).await.has_changes());
    check(&docs, &[&first, &second]);
}

#[tokio::test]
async fn a_put_that_the_second_refuses_leaves_the_first_ahead_and_is_repeated() {
    let (docs, first, second) = one_behind().await;
    let pair = (first.clone(), second.clone());
    second.refuse_puts(true);
    fail_to_sync(&docs, &pair).await;
    second.refuse_puts(false);
    assert_eq!(sync(&docs, &pair).await.updated, 1);
    check(&docs, &[&first, &second]);
}

#[tokio::test]
async fn a_document_that_one_of_them_lacks_is_put_into_both() {
    let (docs, first, second) = one_behind().await;
    for lacking in [&first, &second] {
        lacking.remove(vec!["b.md".to_owned()]).await.expect("removed");
        lacking.commit().await.expect("committed");
        sync(&docs, &(first.clone(), second.clone())).await;
        check(&docs, &[&first, &second]);
    }
}

#[tokio::test]
async fn a_removal_that_only_one_of_them_has_made_is_finished() {
    let (docs, first, second) = one_behind().await;
    std::fs::remove_file(docs.path().join("c.md")).expect("removed");
    second.fail(true);
    fail_to_sync(&docs, &(first.clone(), second.clone())).await;
    second.fail(false);
    second.kill();
    assert_eq!((first.names().len(), second.names().len()), (2, 3));
    let report = sync(&docs, &(first.clone(), second.clone())).await;
    assert_eq!(report.removed, 1);
    check(&docs, &[&first, &second]);
}

/// In each of three, alone or with another, the commit does not come about; the pairs are nested either way.
#[tokio::test]
async fn nested_pairs_see_what_any_of_them_lacks() {
    for lacking in 1..8_u8 {
        for left in [true, false] {
            let docs = folder(&[("a.md", b"one"), ("b.md", b"two")]);
            let all: [MemoryIndex; 3] = Default::default();
            let [a, b, c] = all.clone();
            for index in &all {
                sync(&docs, index).await;
            }
            write(docs.path(), "a.md", b"uno");
            write(docs.path(), "c.md", b"three");
            for (place, index) in all.iter().enumerate() {
                if lacking & (1 << place) == 0 {
                    sync(&docs, index).await;
                }
            }
            let report = if left { sync(&docs, &((a, b), c)).await } else { sync(&docs, &(a, (b, c))).await };
            assert_eq!(report.added + report.updated, 2, "{lacking:b}, {left}: {report}");
            check(&docs, &all.each_ref());
        }
    }
}
