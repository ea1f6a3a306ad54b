//! Keeping an index in step with a folder.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use common::{MemoryIndex, folder, write};
use proptest::prelude::*;
use stages_rag::{Folder, IndexErrorKind, Limit, Limits, SkipReason, SyncReport};
use tempfile::TempDir;

async fn sync(folder: &Folder, index: &MemoryIndex) -> SyncReport {
    folder.sync(index).await.expect("a sync")
}

/// Added, updated, removed, unchanged.
fn counts(report: &SyncReport) -> [usize; 4] {
    [report.added, report.updated, report.removed, report.unchanged]
}

fn skipped(report: &SyncReport) -> Vec<(&str, SkipReason)> {
    report.skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect()
}

fn remove(root: &TempDir, name: &str) {
    fs::remove_file(root.path().join(name)).expect("removed");
}

#[tokio::test]
async fn what_is_new_changed_or_gone_is_found_and_counted() {
    let docs = folder(&[("a.md", b"# A\n\none"), ("b.txt", b"two"), ("sub/c.md", b"three"), ("code.rs", b"no")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    let report = sync(&watched, &index).await;
    assert_eq!(counts(&report), [3, 0, 0, 0]);
    assert_eq!(report.passages, 3);
    assert_eq!(index.names(), ["a.md", "b.txt", "sub/c.md"]);
    assert_eq!(index.passages("a.md")[0].source.to_string(), "a.md:1-3 (A)");

    // The same folder, and another value for it, both find nothing to do.
    assert_eq!(counts(&sync(&watched, &index).await), [0, 0, 0, 3]);
    assert_eq!(counts(&sync(&Folder::new(docs.path()), &index).await), [0, 0, 0, 3]);
    assert_eq!(index.commits(), 1);

    write(docs.path(), "a.md", b"# A\n\nuno");
    write(docs.path(), "d.md", b"four");
    remove(&docs, "b.txt");
    let report = sync(&watched, &index).await;
    assert_eq!(report.to_string(), "1 added, 1 updated, 1 removed, 1 unchanged");
    assert_eq!(report.passages, 2);
    assert_eq!(index.names(), ["a.md", "d.md", "sub/c.md"]);
    assert_eq!(index.text("a.md"), "# A\n\nuno");
    assert_eq!(index.commits(), 2);
}

#[tokio::test]
async fn an_empty_folder_empties_the_index() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    sync(&watched, &index).await;
    remove(&docs, "a.md");
    assert_eq!(counts(&sync(&watched, &index).await), [0, 0, 1, 0]);
    assert!(index.names().is_empty());
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_leaves_the_index_alone() {
    let docs = folder(&[("sub/a.md", b"one")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path().join("sub"));
    sync(&watched, &index).await;
    fs::rename(docs.path().join("sub"), docs.path().join("away")).expect("renamed");
    let error = watched.sync(&index).await.expect_err("it is gone");
    assert_eq!(error.kind(), IndexErrorKind::NotFound);
    assert_eq!(index.names(), ["a.md"]);
}

#[tokio::test]
async fn what_becomes_unusable_is_taken_out_and_reported_until_it_goes() {
    let docs = folder(&[("a.md", b"one"), ("b.md", b"two")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    sync(&watched, &index).await;
    write(docs.path(), "a.md", b"\0");
    let report = sync(&watched, &index).await;
    assert_eq!((counts(&report), skipped(&report)), ([0, 0, 1, 1], vec![("a.md", SkipReason::Binary)]));
    let report = sync(&watched, &index).await;
    assert_eq!((counts(&report), skipped(&report)), ([0, 0, 0, 1], vec![("a.md", SkipReason::Binary)]));
    write(docs.path(), "a.md", b"one again");
    assert_eq!(counts(&sync(&watched, &index).await), [1, 0, 0, 1]);
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_read_for_a_moment_keeps_its_old_text() {
    // Links that lead to themselves cannot be read by anybody, not even by root.
    let docs = folder(&[("a.md", b"one"), ("b.md", b"two")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    sync(&watched, &index).await;
    remove(&docs, "a.md");
    std::os::unix::fs::symlink(docs.path().join("a.md"), docs.path().join("a.md")).expect("a link");
    let report = sync(&watched, &index).await;
    assert_eq!(counts(&report), [0, 0, 0, 2]);
    assert!(matches!(skipped(&report)[..], [("a.md", SkipReason::Unreadable(_))]));
    assert_eq!(index.text("a.md"), "one");
    remove(&docs, "a.md");
    assert_eq!(counts(&sync(&watched, &index).await), [0, 0, 1, 1]);
}

#[tokio::test]
async fn files_that_look_untouched_are_not_read_again() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let reads = Arc::new(AtomicUsize::new(0));
    let count = reads.clone();
    let watched = Folder::new(docs.path()).metadata(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        BTreeMap::new()
    });
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let set_time = |time| fs::File::open(docs.path().join("a.md")).expect("there").set_modified(time).expect("set");

    // A change of this moment may be followed by another that looks the same.
    for expected in [1, 2] {
        sync(&watched, &index).await;
        assert_eq!(reads.load(Ordering::Relaxed), expected);
    }
    set_time(old);
    for expected in [3, 3] {
        sync(&watched, &index).await;
        assert_eq!(reads.load(Ordering::Relaxed), expected);
    }
    // Another length, or another time, is another file; so is another index.
    write(docs.path(), "a.md", b"longer");
    set_time(old);
    assert_eq!(counts(&sync(&watched, &index).await), [0, 1, 0, 0]);
    write(docs.path(), "a.md", b"LONGER");
    assert_eq!(counts(&sync(&watched, &index).await), [0, 1, 0, 0]);
    set_time(old);
    sync(&watched, &index).await;
    assert_eq!(counts(&sync(&watched, &MemoryIndex::default()).await), [1, 0, 0, 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_time_that_was_set_back_hides_no_change() {
    use std::os::unix::fs::MetadataExt;
    let docs = folder(&[("a.md", b"one")]);
    let file = docs.path().join("a.md");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let set_time = |path: &Path| fs::File::open(path).expect("there").set_modified(old).expect("set");
    let changed = || fs::metadata(&file).map(|file| (file.ctime(), file.ctime_nsec())).expect("there");
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    set_time(&file);
    sync(&watched, &index).await;
    // As long as before, and as old: an archive that was unpacked over it, another file in its place.
    let before = changed();
    while changed() == before {
        write(docs.path(), "a.md", b"two");
        set_time(&file);
    }
    assert_eq!(counts(&sync(&watched, &index).await), [0, 1, 0, 0]);
    write(docs.path(), "new", b"six");
    set_time(&docs.path().join("new"));
    fs::rename(docs.path().join("new"), &file).expect("renamed");
    assert_eq!(counts(&sync(&watched, &index).await), [0, 1, 0, 0]);
    assert_eq!(index.text("a.md"), "six");
}

#[tokio::test]
async fn metadata_says_what_filters_ask_for() {
    let matter = b"---\ntitle: Guide\nformat: odd\ntenant: nobody\n---\n\ntext";
    let docs = folder(&[("acme/deep/a.md", matter), ("b.txt", b"text")]);
    let index = MemoryIndex::default();
    let tenants = |name: &str| {
        let tenant = name.split_once('/').map_or("public", |(tenant, _)| tenant);
        BTreeMap::from([("tenant".to_owned(), tenant.to_owned())])
    };
    sync(&Folder::new(docs.path()).metadata(tenants), &index).await;
    let metadata = |name: &str| index.passages(name)[0].metadata.clone().into_iter().collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let expected = pairs(&[("folder", "acme/deep"), ("format", "markdown"), ("tenant", "acme"), ("title", "Guide")]);
    assert_eq!(metadata("acme/deep/a.md"), expected);
    assert_eq!(metadata("b.txt"), pairs(&[("format", "text"), ("tenant", "public")]));

    // Other facts make another document of the same file.
    let report = sync(&Folder::new(docs.path()), &index).await;
    assert_eq!(counts(&report), [0, 2, 0, 0]);
    assert!(!index.passages("b.txt")[0].metadata.contains_key("tenant"));
}

#[tokio::test]
async fn files_beyond_the_limits_are_skipped() {
    let docs = folder(&[("a.md", &[b'a'; 100]), ("b.txt", &[b'b'; 101])]);
    let index = MemoryIndex::default();
    let report = sync(&Folder::new(docs.path()).limits(Limits::default().file_bytes(100)), &index).await;
    assert_eq!(skipped(&report), [("b.txt", SkipReason::TooLarge(Limit::FileBytes))]);
    // What is in the index stays there: only files that are new or have changed are measured.
    let stricter = Folder::new(docs.path()).limits(Limits::default().text_bytes(99));
    assert_eq!(counts(&sync(&stricter, &index).await), [0, 0, 0, 1]);
    let shorter = Folder::new(docs.path()).limits(Limits::default().file_bytes(99));
    assert_eq!(counts(&sync(&shorter, &index).await), [0, 0, 1, 0], "but nobody reads what is too long to be read");
    let index = MemoryIndex::default();
    let report = sync(&stricter, &index).await;
    assert_eq!(report.skipped.len(), 2);
    assert_eq!(report.skipped[1].to_string(), "b.txt (beyond the limit of text bytes)");
    assert!(index.names().is_empty());
}

#[tokio::test]
async fn progress_goes_from_none_to_all_in_order() {
    let docs = folder(&[("a.md", b"one"), ("b.md", b"\0"), ("c.md", b"# C\n\nx\n\n# D\n\ny")]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = told.clone();
    let watched = Folder::new(docs.path()).progress(move |p| {
        keep.lock().expect("a list").push((p.done, p.total, p.name.clone(), p.passages));
    });
    sync(&watched, &MemoryIndex::default()).await;
    let expected = [(0, 3, "", 0), (1, 3, "a.md", 1), (2, 3, "b.md", 1), (3, 3, "c.md", 3)];
    let told = told.lock().expect("a list").clone();
    assert_eq!(told, expected.map(|(done, total, name, passages)| (done, total, name.to_owned(), passages)));
}

#[tokio::test]
async fn a_large_folder_comes_in_batches_and_one_commit() {
    let text = "word ".repeat(20_000);
    let docs = folder(&[]);
    for i in 0..12 {
        write(docs.path(), &format!("{i}.txt"), text.as_bytes());
    }
    let index = MemoryIndex::default();
    assert_eq!(sync(&Folder::new(docs.path()), &index).await.added, 12);
    assert_eq!(index.commits(), 1);
    // A tenth of a megabyte each, and a mebibyte at a time.
    assert_eq!(index.widest(), 11);
}

#[tokio::test]
async fn what_goes_with_every_passage_counts_like_text() {
    let docs = folder(&[]);
    for i in 0..8 {
        write(docs.path(), &format!("{i}.md"), "# A\n\nb\n\n".repeat(100).as_bytes());
    }
    let describe = |_: &str| BTreeMap::from([("about".to_owned(), "x".repeat(5_000))]);
    let index = MemoryIndex::default();
    // Half a megabyte of facts for each file, and a mebibyte at a time.
    assert_eq!(sync(&Folder::new(docs.path()).metadata(describe), &index).await.added, 8);
    assert_eq!(index.widest(), 3);
    let strict = Limits::default().text_bytes(400_000);
    let report = sync(&Folder::new(docs.path()).metadata(describe).limits(strict), &MemoryIndex::default()).await;
    assert_eq!(report.skipped.len(), 8);
    assert!(report.skipped.iter().all(|skipped| skipped.reason == SkipReason::TooLarge(Limit::TextBytes)));
}

#[tokio::test]
async fn a_dropped_sync_commits_nothing_and_the_next_makes_up_for_it() {
    let docs = folder(&[]);
    for i in 0..100 {
        write(docs.path(), &format!("{i:03}.md"), b"text");
    }
    let index = MemoryIndex::default();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    // The twentieth file waits for the test.
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let hold = move |name: &str| {
        if name == "020.md" {
            let _ = wait.lock().expect("a receiver").recv();
        }
        BTreeMap::new()
    };
    let watched = Folder::new(docs.path()).metadata(hold).progress(move |p| count.store(p.done, Ordering::Relaxed));
    {
        let mut sync = pin!(watched.sync(&index));
        poll_fn(|cx| {
            assert!(sync.as_mut().poll(cx).is_pending());
            if seen.load(Ordering::Relaxed) == 20 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    drop(let_go);
    assert_eq!(index.commits(), 0);
    assert_eq!(counts(&sync(&watched, &index).await), [100, 0, 0, 0]);
}

#[tokio::test]
async fn a_commit_that_fails_is_an_error_and_can_be_repeated() {
    let docs = folder(&[("a.md", b"one")]);
    let index = MemoryIndex::default();
    let watched = Folder::new(docs.path());
    index.fail(true);
    assert!(watched.sync(&index).await.is_err());
    index.fail(false);
    // It stands in the index already, and waits for a commit.
    assert_eq!(counts(&sync(&watched, &index).await), [0, 0, 0, 1]);
    assert_eq!((index.names(), index.commits()), (vec!["a.md".to_owned()], 1));
}

#[tokio::test]
async fn what_is_skipped_is_warned_about() {
    let docs = folder(&[("a.md", b"text"), ("logo.txt", b"\0")]);
    let log = docs.path().join("log");
    let writer = Arc::new(fs::File::create(&log).expect("a log"));
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    sync(&Folder::new(docs.path()), &MemoryIndex::default()).await;
    drop(logging);
    let log = fs::read_to_string(log).expect("a log");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("WARN") && log.contains("path=\"logo.txt\" reason=binary"), "{log}");
}

#[test]
fn the_future_crosses_threads() {
    fn crosses<T: Send>(_: T) {}
    let (folder, index) = (Folder::new("docs"), MemoryIndex::default());
    crosses(folder.sync(&index));
}

/// Something that happens to a folder.
#[derive(Debug, Clone)]
enum Change {
    Write(usize, usize),
    Remove(usize),
    Rename(usize, usize),
    RemoveFolder(usize),
    Sync,
}

const NAMES: [&str; 8] = ["a.md", "b.txt", "x/a.md", "x/b.md", "x/y/a.txt", "z/a.md", "z/.b.md", "z/c.rs"];
const FOLDERS: [&str; 3] = ["x", "x/y", "z"];
/// The last two are skipped.
const TEXTS: [&str; 5] = ["one", "# Two\n\ntext", "three three", "", "\0"];

fn change() -> impl Strategy<Value = Change> {
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => (name(), 0..TEXTS.len()).prop_map(|(name, text)| Change::Write(name, text)),
        2 => name().prop_map(Change::Remove),
        1 => (name(), name()).prop_map(|(from, to)| Change::Rename(from, to)),
        1 => (0..FOLDERS.len()).prop_map(Change::RemoveFolder),
        2 => Just(Change::Sync),
    ]
}

/// What there should be: each file's text.
type Model = BTreeMap<&'static str, usize>;

fn apply(root: &Path, model: &mut Model, change: &Change) {
    match *change {
        Change::Write(name, text) => {
            write(root, NAMES[name], TEXTS[text].as_bytes());
            model.insert(NAMES[name], text);
        }
        Change::Remove(name) => {
            let _ = fs::remove_file(root.join(NAMES[name]));
            model.remove(NAMES[name]);
        }
        Change::Rename(from, to) => {
            if let Some(text) = model.remove(NAMES[from]) {
                fs::create_dir_all(root.join(NAMES[to]).parent().expect("a parent")).expect("a folder");
                fs::rename(root.join(NAMES[from]), root.join(NAMES[to])).expect("renamed");
                model.insert(NAMES[to], text);
            }
        }
        Change::RemoveFolder(which) => {
            let _ = fs::remove_dir_all(root.join(FOLDERS[which]));
            model.retain(|name, _| !name.starts_with(&format!("{}/", FOLDERS[which])));
        }
        Change::Sync => {}
    }
}

/// The documents that the folder should come to.
fn expected(model: &Model) -> Vec<(String, String)> {
    let is_document = |name: &str| (name.ends_with(".md") || name.ends_with(".txt")) && !name.contains("/.");
    let documents = model.iter().filter(|(name, text)| is_document(name) && **text < 3);
    documents.map(|(name, text)| ((*name).to_owned(), TEXTS[*text].to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_index_holds_what_its_folder_holds(changes in prop::collection::vec(change(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let docs = folder(&[]);
        let index = MemoryIndex::default();
        let watched = Folder::new(docs.path());
        let mut model = Model::new();
        let mut before: Vec<(String, String)> = Vec::new();
        for change in changes.into_iter().chain([Change::Sync]) {
            apply(docs.path(), &mut model, &change);
            if let Change::Sync = change {
                let report = runtime.block_on(sync(&watched, &index));
                let now: Vec<_> = index.names().into_iter().map(|name| { let text = index.text(&name); (name, text) }).collect();
                prop_assert_eq!(&now, &expected(&model));
                let old: BTreeMap<_, _> = before.iter().cloned().collect();
                let added = now.iter().filter(|(name, _)| !old.contains_key(name)).count();
                let unchanged = now.iter().filter(|(name, text)| old.get(name) == Some(text)).count();
                let updated = now.len() - added - unchanged;
                let removed = before.len() - unchanged - updated;
                prop_assert_eq!(counts(&report), [added, updated, removed, unchanged]);
                before = now;
            }
        }
    }
}
