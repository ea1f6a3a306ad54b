//! Who has an index open, and what they see of each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Index, IndexErrorKind, Language, Languages};

use super::{commit, document, folder, found, open, put, search};

#[tokio::test]
async fn an_index_is_open_once() {
    let folder = folder();
    let first = open(&folder).await;
    let error = Bm25Index::open(folder.path()).await.expect_err("it is open");
    assert_eq!(error.kind(), IndexErrorKind::Locked);
    assert_eq!(error.path(), Some(folder.path()));
    assert_eq!(error.to_string(), format!("index `{}` is open elsewhere", folder.path().display()));

    put(&first, &[("a", "needle")]).await;
    commit(&first).await;
    let clone = first.clone();
    drop(first);
    let error = Bm25Index::open(folder.path()).await.expect_err("a clone has it open");
    assert_eq!(error.kind(), IndexErrorKind::Locked);
    drop(clone);
    assert_eq!(found(&open(&folder).await, "needle").await, ["needle"]);
}

/// A process that is being started has copies of all open files for a moment, and with them their locks.
#[tokio::test]
async fn a_lock_that_lingers_for_a_moment_is_waited_for() {
    let folder = folder();
    drop(open(&folder).await);
    let lingers = hold(&folder.path().join("lock"));
    let index = open(&folder).await;
    lingers.join().expect("released");

    let lingers = hold(&folder.path().join(".tantivy-writer.lock"));
    put(&index, &[("a", "needle")]).await;
    lingers.join().expect("released");
    commit(&index).await;
    assert_eq!(found(&index, "needle").await, ["needle"]);
}

/// Holds the lock on a file for a fraction of the time that is waited for it.
fn hold(path: &std::path::Path) -> std::thread::JoinHandle<()> {
    let file = std::fs::File::options().create(true).append(true).open(path).expect("opened");
    file.lock().expect("locked");
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        drop(file);
    })
}

#[tokio::test]
async fn a_clone_is_the_same_index() {
    let one = Bm25Index::in_memory().expect("an index");
    let other = one.clone();
    put(&one, &[("a", "needle")]).await;
    put(&other, &[("b", "needle")]).await;
    commit(&other).await;
    assert_eq!(search(&one, "needle").await.len(), 2);
    assert_eq!(other.len(), 2);
}

#[tokio::test]
async fn an_index_of_other_languages_or_programs_is_left_alone() {
    let folder = folder();
    drop(open(&folder).await);
    let german = || Bm25Index::builder().languages(Languages::Only(Language::German));
    let error = german().open(folder.path()).await.expect_err("it was made to detect");
    assert_eq!(error.kind(), IndexErrorKind::Incompatible);
    assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("detect"));

    let format = folder.path().join("format");
    let newer = std::fs::read_to_string(&format).expect("a format").replace("words 1", "words 2");
    std::fs::write(&format, newer).expect("written");
    let error = Bm25Index::open(folder.path()).await.expect_err("it is of another version");
    assert_eq!(error.kind(), IndexErrorKind::Incompatible);

    std::fs::remove_file(&format).expect("removed");
    let error = Bm25Index::open(folder.path()).await.expect_err("somebody else's");
    assert_eq!(error.kind(), IndexErrorKind::Incompatible);
    assert_eq!(error.to_string(), format!("index `{}` was made in another way", folder.path().display()));
}

#[tokio::test]
async fn a_path_below_a_file_cannot_be_a_folder() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").expect("written");
    for path in [file.clone(), file.join("below")] {
        let error = Bm25Index::open(&path).await.expect_err("a file");
        assert_eq!(error.kind(), IndexErrorKind::NotAFolder);
        assert_eq!(error.path(), Some(path.as_path()));
    }
    let deep = folder.path().join("new/and/deep");
    drop(Bm25Index::open(&deep).await.expect("made"));
    assert!(deep.join("format").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_from_many_tasks_are_all_kept() {
    let folder = folder();
    let index = open(&folder).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let index = index.clone();
            tokio::spawn(async move {
                for number in 0..10 {
                    put(&index, &[(&format!("{task}/{number}"), "needle")]).await;
                    if number % 4 == task % 4 {
                        commit(&index).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
    commit(&index).await;
    assert_eq!(search(&index, "needle").await.len(), 80);
    drop(index);
    assert_eq!(super::names(&open(&folder).await).await.len(), 80);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_a_change_half_way() {
    let index = Bm25Index::in_memory().expect("an index");
    let documents = (0..50).map(|i| document(&i.to_string(), "needle")).collect();
    let put = tokio::spawn({
        let index = index.clone();
        async move { stages_rag::Index::put(&index, documents).await }
    });
    tokio::task::yield_now().await;
    put.abort();
    assert!(put.await.expect_err("it was left").is_cancelled());
    // Nothing of it is there, and then all of it.
    loop {
        match super::documents(&index).await.len() {
            0 => {}
            some => break assert_eq!(some, 50),
        }
    }
    commit(&index).await;
    assert_eq!(search(&index, "needle").await.len(), 50);
}

/// Each state has one text in all of its documents; a search that mixed two would find both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_go_on_during_commits_and_see_whole_states() {
    const DOCUMENTS: usize = 25;
    let folder = folder();
    for index in [Bm25Index::in_memory().expect("an index"), open(&folder).await] {
        let state = |round: usize| {
            (0..DOCUMENTS).map(move |i| document(&i.to_string(), &format!("needle round{round}"))).collect()
        };
        stages_rag::Index::put(&index, state(0)).await.expect("put");
        commit(&index).await;
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicUsize::new(0));
        let searches = {
            let (index, done, seen) = (index.clone(), done.clone(), seen.clone());
            tokio::spawn(async move {
                let mut last = String::new();
                while !done.load(Ordering::Acquire) {
                    let texts = found(&index, "needle").await;
                    assert_eq!(texts.len(), DOCUMENTS);
                    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
                    if texts[0] != last {
                        last.clone_from(&texts[0]);
                        seen.fetch_add(1, Ordering::Release);
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        for round in 1..=30 {
            stages_rag::Index::put(&index, state(round)).await.expect("put");
            commit(&index).await;
            // What has been committed is what the next search sees.
            assert_eq!(found(&index, "needle").await, vec![format!("needle round{round}"); DOCUMENTS]);
        }
        done.store(true, Ordering::Release);
        searches.await.expect("only whole states were seen");
        assert!(seen.load(Ordering::Acquire) > 1, "no search ran beside a commit");
    }
}

#[test]
fn futures_cross_threads() {
    fn crosses<T: Send + 'static>(_: T) {}
    crosses(Bm25Index::open("docs"));
    crosses(Bm25Index::builder().open("docs"));
}

#[tokio::test]
async fn a_big_search_in_memory_leaves_its_thread() {
    // More entries than are read inline: the other task of this thread runs meanwhile.
    let passage = |i: usize| Passage::new("needle in hay", Source::new(format!("{}", i % 100)), 0.0);
    let index = Bm25Index::from_passages((0..6_000).map(passage)).expect("an index");
    let ran = Arc::new(AtomicBool::new(false));
    let other = tokio::spawn({
        let ran = ran.clone();
        async move { ran.store(true, Ordering::Release) }
    });
    let query = Query::new("needle hay", std::num::NonZeroUsize::MIN);
    assert_eq!(index.retrieve(&query).await.expect("found").len(), 1);
    assert!(ran.load(Ordering::Acquire), "the search held its thread");
    other.await.expect("done");
}

/// A commit and many that wait for it leave the second of two blocking threads to others.
#[test]
fn who_waits_for_a_commit_takes_no_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).build();
    runtime.expect("a runtime").block_on(async {
        let index = Bm25Index::in_memory().expect("an index");
        let text = "many words that a commit has to write ".repeat(40);
        let many: Vec<_> = (0..5_000).map(|i| document(&i.to_string(), &text)).collect();
        index.put(many).await.expect("put");
        let committing = tokio::spawn({
            let index = index.clone();
            async move { index.commit().await }
        });
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let index = index.clone();
                tokio::spawn(async move { index.documents().await })
            })
            .collect();
        tokio::task::yield_now().await;
        // The one worker runs them in order, so that all have asked for their thread once this has.
        tokio::spawn(async {}).await.expect("no panic");
        tokio::task::spawn_blocking(|| ()).await.expect("no panic");
        assert!(!committing.is_finished(), "the commit was waited for");
        committing.await.expect("no panic").expect("committed");
        for waiting in waiting {
            assert_eq!(waiting.await.expect("no panic").expect("listed").len(), 5_000);
        }
    });
}

/// What is ready when it is asked for the first time has left its task for nothing.
#[tokio::test]
async fn only_a_small_search_runs_on_the_task_that_asks() {
    use std::num::NonZeroUsize;

    use futures_util::FutureExt;

    let index = Bm25Index::in_memory().expect("an index");
    put(&index, &[("a", "needle")]).await;
    commit(&index).await;
    let query = |text: &str, limit| Query::new(text, NonZeroUsize::new(limit).expect("not zero"));
    let filter = |leaves: usize| Filter::OneOf((0..leaves).map(|i| Filter::is("key", i.to_string())).collect());
    let long = format!("needle{}", " ".repeat(1_018));
    let cases = [
        (query("needle", 100), true),
        (query("needle", 101), false),
        (query(&long, 1), true),
        (query(&format!("{long} "), 1), false),
        (query("needle", 1).filter(filter(16)), true),
        (query("needle", 1).filter(filter(17)), false),
    ];
    for (query, inline) in cases {
        let found = index.retrieve(&query).now_or_never();
        assert_eq!(found.is_some(), inline, "{} bytes, {}", query.text.len(), query.limit);
    }
}
