//! The index over a folder, through the public API.

use std::error::Error;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, IndexErrorKind, SkipReason};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        write(folder.path(), name, bytes);
    }
    folder
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
    fs::write(path, bytes).expect("written");
}

async fn index(folder: &TempDir) -> Bm25Index {
    Bm25Index::from_dir(folder.path()).await.expect("an index")
}

async fn search(index: &Bm25Index, query: &str, limit: usize) -> Vec<Passage> {
    let limit = NonZeroUsize::new(limit).expect("not zero");
    index.retrieve(&Query::new(query, limit)).await.expect("a query never fails")
}

/// The sources of what is found.
async fn sources(index: &Bm25Index, query: &str) -> Vec<String> {
    search(index, query, 100).await.iter().map(|p| p.source.to_string()).collect()
}

fn skipped(index: &Bm25Index) -> Vec<(&str, SkipReason)> {
    index.skipped().iter().map(|s| (s.path.as_str(), s.reason)).collect()
}

#[tokio::test]
async fn passages_know_file_lines_and_headings() {
    let folder = folder(&[
        ("guide.md", b"# Guide\n\nIntro.\n\n## Overload\n\nA full queue sheds its oldest request.\n"),
        ("deep/er/notes.txt", b"Plain notes on retries.\n"),
    ]);
    let index = index(&folder).await;
    assert_eq!(index.len(), 3);
    assert!(!index.is_empty());

    let found = search(&index, "What does shedding do to a request?", 4).await;
    assert_eq!(found[0].text, "## Overload\n\nA full queue sheds its oldest request.");
    assert_eq!(found[0].source, Source::new("guide.md").headings(vec!["Guide".into(), "Overload".into()]).lines(5, 7));
    assert!(found[0].score > 0.0);
    assert_eq!(sources(&index, "retry").await, ["deep/er/notes.txt:1-1"]);
}

#[tokio::test]
async fn hidden_foreign_and_other_files_are_left_out_without_a_word() {
    let text = b"needle\n".as_slice();
    let folder = folder(&[
        ("kept.md", text),
        ("KEPT.TXT", text),
        (".hidden.md", text),
        (".git/a.md", text),
        ("target/a.md", text),
        ("sub/node_modules/a.md", text),
        ("code.rs", text),
        ("README", text),
    ]);
    let index = index(&folder).await;
    assert_eq!(sources(&index, "needle").await, ["KEPT.TXT:1-1", "kept.md:1-1"]);
    assert_eq!(skipped(&index), []);
}

#[tokio::test]
async fn files_that_are_no_text_are_skipped_and_reported() {
    let folder = folder(&[
        ("good.md", b"needle"),
        ("z/binary.md", b"needle\0\x01"),
        ("latin1.txt", b"needle caf\xe9"),
        ("blank.md", b" \n\n"),
        ("matter.md", b"---\ntitle: needle\n---\n"),
    ]);
    let index = index(&folder).await;
    let expected = [
        ("blank.md", SkipReason::NoText),
        ("latin1.txt", SkipReason::NotUtf8),
        ("matter.md", SkipReason::NoText),
        ("z/binary.md", SkipReason::Binary),
    ];
    assert_eq!(skipped(&index), expected);
    assert_eq!(sources(&index, "needle").await, ["good.md:1-1"]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_devices_neither_hang_nor_repeat() {
    use std::os::unix::fs::symlink;

    let folder = folder(&[("sub/good.md", b"needle"), ("elsewhere.bin", b"needle")]);
    let at = |name: &str| folder.path().join(name);
    symlink(folder.path(), at("sub/loop")).expect("a link to the root");
    symlink(at("self.md"), at("self.md")).expect("a link to itself");
    symlink(at("nowhere"), at("dangling.md")).expect("a link to nothing");
    symlink(at("sub/good.md"), at("linked.md")).expect("a link to a document");
    symlink(at("elsewhere.bin"), at("other.bin")).expect("a link to another file");
    symlink("/dev/null", at("void.txt")).expect("a link to a device");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.md")).expect("a socket");

    let index = index(&folder).await;
    assert_eq!(sources(&index, "needle").await, ["linked.md:1-1", "sub/good.md:1-1"]);
    let reasons = skipped(&index);
    assert_eq!(reasons[0], ("dangling.md", SkipReason::Unreadable(io::ErrorKind::NotFound)));
    assert!(matches!(reasons[1], ("self.md", SkipReason::Unreadable(_))));
    let rest = ["socket.md", "sub/loop", "void.txt"].map(|name| (name, SkipReason::NotAFile));
    assert_eq!(reasons[2..], rest);
}

#[tokio::test]
async fn a_folder_without_documents_is_an_error_that_says_what_was_skipped() {
    let empty = folder(&[("code.rs", b"fn main() {}")]);
    let error = Bm25Index::from_dir(empty.path()).await.expect_err("no document");
    assert_eq!(error.kind(), IndexErrorKind::NoDocuments);
    assert_eq!(error.path(), Some(empty.path()));
    assert!(error.skipped().is_empty());
    assert_eq!(error.to_string(), format!("folder `{}` holds no document with text", empty.path().display()));

    let unusable = folder(&[("a.md", b"\xff"), ("b.md", b"\0")]);
    let error = Bm25Index::from_dir(unusable.path()).await.expect_err("no document");
    assert_eq!(error.kind(), IndexErrorKind::NoDocuments);
    assert_eq!(error.skipped().len(), 2);
    assert!(error.to_string().ends_with("; skipped: a.md (not UTF-8), and 1 more"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_an_error_that_names_it() {
    let folder = folder(&[("a.md", b"text")]);

    let missing = folder.path().join("missing");
    let error = Bm25Index::from_dir(&missing).await.expect_err("missing");
    assert_eq!(error.kind(), IndexErrorKind::NotFound);
    assert_eq!(error.path(), Some(missing.as_path()));
    assert_eq!(error.to_string(), format!("folder `{}` does not exist", missing.display()));
    let cause = error.source().and_then(|s| s.downcast_ref::<io::Error>()).expect("the cause is kept");
    assert_eq!(cause.kind(), io::ErrorKind::NotFound);

    let file = folder.path().join("a.md");
    let error = Bm25Index::from_dir(&file).await.expect_err("a file");
    assert_eq!(error.kind(), IndexErrorKind::NotAFolder);
    assert_eq!(error.to_string(), format!("`{}` is not a folder", file.display()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_leads_to_itself_is_unreadable() {
    let folder = folder(&[]);
    let path = folder.path().join("self");
    std::os::unix::fs::symlink(&path, &path).expect("a link to itself");
    let error = Bm25Index::from_dir(&path).await.expect_err("a loop");
    assert_eq!(error.kind(), IndexErrorKind::Unreadable);
    assert_eq!(error.to_string(), format!("folder `{}` cannot be read", path.display()));
    assert!(error.source().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn what_may_not_be_read_is_skipped_and_reported() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder(&[("good.md", b"text"), ("secret.md", b"text"), ("vault/a.md", b"text")]);
    for name in ["secret.md", "vault"] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o000)).expect("permissions");
    }
    let index = index(&folder).await;
    let denied = fs::read(folder.path().join("secret.md")).is_err();
    if !denied {
        eprintln!("this user reads everything, as root does: only that nothing is skipped is tested");
    }
    let reason = SkipReason::Unreadable(io::ErrorKind::PermissionDenied);
    let expected = if denied { vec![("secret.md", reason), ("vault", reason)] } else { Vec::new() };
    assert_eq!(skipped(&index), expected);
    fs::set_permissions(folder.path().join("vault"), fs::Permissions::from_mode(0o700)).expect("permissions");
}

#[tokio::test]
async fn hostile_queries_find_or_find_nothing_and_never_fail() {
    let folder = folder(&[("a.md", b"foo and bar. What is up? It's C++ in [brackets].")]);
    let index = index(&folder).await;
    for query in [
        "foo:bar \"",
        "What's up? (foo AND",
        "+foo -\"bar",
        "foo^2 ~ bar~ *",
        "text:foo OR headings:[a TO",
        "/foo.*/ {bar}",
        "\\foo\\",
        "foo\0\u{202e}\u{feff}",
        "IN [foo bar",
        "NOT foo",
        "FOO",
    ] {
        assert_eq!(sources(&index, query).await, ["a.md:1-1"], "{query:?}");
    }
    for query in ["", " ", "?", "\"", "()", "*", "AND OR NOT", "…—\u{0}\n", "🦀", "what is it?", "unheard"] {
        assert!(sources(&index, query).await.is_empty(), "{query:?}");
    }
    let endless = format!("foo {}", "x y z \"( ".repeat(100_000));
    assert_eq!(sources(&index, &endless).await, ["a.md:1-1"]);
}

#[tokio::test]
async fn the_best_comes_first_and_equals_in_their_order() {
    let same = |i: u32| Passage::new("The queue sheds.", Source::new(format!("same-{i}")), 9.0);
    let best = Passage::new("Queue, queue, shed.", Source::new("best"), 0.0);
    let other = Passage::new("Nothing of the kind.", Source::new("other"), 5.0);
    let passages = (0..20).map(same).chain([other, best]);
    let index = Bm25Index::from_passages(passages).expect("an index");

    let found = search(&index, "queue shed", 100).await;
    let mut expected = vec!["best".to_owned()];
    expected.extend((0..20).map(|i| format!("same-{i}")));
    assert_eq!(found.iter().map(|p| p.source.document.clone()).collect::<Vec<_>>(), expected);
    assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));

    for limit in [1, 2, 7] {
        assert_eq!(search(&index, "queue shed", limit).await, found[..limit]);
    }
    assert_eq!(search(&index, "queue shed", usize::MAX).await, found);
}

#[tokio::test]
async fn the_same_folder_gives_the_same_answers() {
    let files: Vec<_> =
        (0..40).map(|i| (format!("{}/{i}.md", i % 7), format!("# Part {i}\n\nqueue {}\n", i % 3))).collect();
    let forth = tempfile::tempdir().expect("a folder");
    let back = tempfile::tempdir().expect("a folder");
    for (name, text) in &files {
        write(forth.path(), name, text.as_bytes());
    }
    for (name, text) in files.iter().rev() {
        write(back.path(), name, text.as_bytes());
    }
    let (forth, back) = (index(&forth).await, index(&back).await);
    for query in ["queue", "part 7", "queue 2", "the part of the queue"] {
        let found = search(&forth, query, 100).await;
        assert!(!found.is_empty());
        assert_eq!(found, search(&forth, query, 100).await);
        assert_eq!(found, search(&back, query, 100).await);
    }
    let names: Vec<_> = search(&forth, "queue", 100).await.into_iter().map(|p| p.source.document).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
}

#[tokio::test]
async fn headings_are_searched_and_count_more_than_text() {
    let filler = "Some words about this and that.";
    let under = |heading: &str, text: &str, id: &str| {
        Passage::new(text, Source::new(id).headings(vec![heading.to_owned()]), 0.0)
    };
    let index = Bm25Index::from_passages([
        under("Misc", "Some words about shedding.", "text"),
        under("Shedding", filler, "heading"),
        under("Misc", filler, "neither"),
    ])
    .expect("an index");
    assert_eq!(sources(&index, "shedding").await, ["heading (Shedding)", "text (Misc)"]);
}

#[tokio::test]
async fn no_passages_at_all_find_nothing() {
    let index = Bm25Index::from_passages([]).expect("an index");
    assert!(index.is_empty());
    assert!(search(&index, "anything", 4).await.is_empty());
}

#[tokio::test]
async fn a_clone_is_the_same_index() {
    let folder = folder(&[("a.md", b"needle")]);
    let index = index(&folder).await;
    let clone = index.clone();
    drop(index);
    drop(folder);
    assert_eq!(sources(&clone, "needle").await, ["a.md:1-1"]);
    assert_eq!(format!("{clone:?}"), "Bm25Index { passages: 1, skipped: [], .. }");
}

#[test]
fn futures_and_types_cross_threads() {
    fn crosses<T: Send + 'static>(_: T) {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Bm25Index>();
    crosses(Bm25Index::from_dir("docs"));
}
