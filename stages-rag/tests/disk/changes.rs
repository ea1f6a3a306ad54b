//! What is put in, replaced, taken out and committed.

use std::collections::BTreeMap;

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Document, Fingerprint, Index};

use super::{commit, document, documents, folder, found, names, open, put, remove, search};

/// Runs a test in memory and on disk.
macro_rules! in_both {
    ($($(#[$doc:meta])* async fn $name:ident($index:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn with($index: &Bm25Index) $body

            #[tokio::test]
            async fn in_memory() {
                with(&Bm25Index::in_memory().expect("an index")).await;
            }

            #[tokio::test]
            async fn on_disk() {
                let folder = folder();
                with(&open(&folder).await).await;
            }
        }
    )*};
}

in_both! {
    async fn changes_are_seen_once_they_are_committed(index) {
        put(index, &[("a", "one needle"), ("b", "two needles|no such thing")]).await;
        assert_eq!(found(index, "needle").await, [""; 0]);
        assert_eq!((index.len(), names(index).await), (0, vec!["a".to_owned(), "b".to_owned()]));

        commit(index).await;
        assert_eq!(found(index, "needle").await, ["one needle", "two needles"]);
        assert_eq!(index.len(), 3);

        put(index, &[("a", "one pin")]).await;
        remove(index, &["b", "never there"]).await;
        assert_eq!(found(index, "needle").await, ["one needle", "two needles"]);
        assert_eq!(documents(index).await, BTreeMap::from([("a".to_owned(), Fingerprint(7))]));

        commit(index).await;
        assert_eq!(found(index, "needle").await, [""; 0]);
        assert_eq!(found(index, "pin").await, ["one pin"]);
        assert_eq!(index.len(), 1);
    }

    async fn the_last_of_a_name_counts_within_a_commit_too(index) {
        put(index, &[("a", "first needle"), ("a", "second needle")]).await;
        put(index, &[("b", "third needle"), ("c", "fourth needle")]).await;
        remove(index, &["b", "b"]).await;
        put(index, &[("c", "fifth needle")]).await;
        remove(index, &["c"]).await;
        put(index, &[("c", "sixth needle")]).await;
        commit(index).await;
        assert_eq!(found(index, "needle").await, ["second needle", "sixth needle"]);
        assert_eq!(documents(index).await, BTreeMap::from([("a".to_owned(), Fingerprint(13)), ("c".to_owned(), Fingerprint(12))]));
    }

    async fn a_document_without_passages_is_known_and_never_found(index) {
        put(index, &[("blank", ""), ("a", "needle")]).await;
        commit(index).await;
        assert_eq!(names(index).await, ["a", "blank"]);
        assert_eq!((index.len(), index.is_empty()), (1, false));
        let all = Filter::is("no", "such");
        let limit = std::num::NonZeroUsize::new(9).expect("not zero");
        let query = Query::new("needle blank", limit).filter(!all);
        assert_eq!(index.retrieve(&query).await.expect("found").len(), 1);

        put(index, &[("blank", "needle")]).await;
        remove(index, &["a"]).await;
        commit(index).await;
        assert_eq!((index.len(), names(index).await), (1, vec!["blank".to_owned()]));
        put(index, &[("blank", "")]).await;
        commit(index).await;
        assert!(index.is_empty());
        assert_eq!(found(index, "needle").await, [""; 0]);
    }

    async fn a_passage_comes_back_as_it_was(index) {
        let headings = vec!["Über".into(), String::new(), "Top".into()];
        let source = Source::new("a.md").headings(headings).lines(3, u32::MAX).page(7);
        let mut whole = Passage::new("The needle\n\nwith \0, é and 猫.", source, 9.0)
            .with_metadata("tenant", "acme")
            .with_metadata("", "")
            .with_metadata("language", "de");
        let other = Passage::new("Another needle", Source::new("another/name"), 0.0);
        let documents = vec![Document::new("a.md", Fingerprint(u64::MAX), vec![whole.clone(), other.clone()])];
        index.put(documents).await.expect("put");
        commit(index).await;
        let found = search(index, "top needle").await;
        whole.score = found[0].score;
        assert_eq!(found[0], whole);
        assert_eq!(found[1].source, other.source);
        assert_eq!(super::documents(index).await["a.md"], Fingerprint(u64::MAX));
    }

    async fn equal_ones_come_in_the_order_in_which_they_were_put_in(index) {
        // Each commit makes a segment and some of them a merge, which reorders segments by size.
        let names: Vec<String> = (0..30).map(|i| format!("{}", (i * 7) % 30)).collect();
        for (i, name) in names.iter().enumerate() {
            // Fillers make the segments differ in size.
            put(index, &[(name, "needle here"), (&format!("filler {name}"), &"chaff there|".repeat(i % 5))]).await;
            commit(index).await;
        }
        let sources = |found: Vec<Passage>| found.into_iter().map(|passage| passage.source.document).collect::<Vec<_>>();
        assert_eq!(sources(search(index, "needle").await), names);

        put(index, &[(&names[3], "needle here")]).await;
        commit(index).await;
        let mut order = names.clone();
        let moved = order.remove(3);
        order.push(moved);
        assert_eq!(sources(search(index, "needle").await), order);
        let limit = std::num::NonZeroUsize::new(5).expect("not zero");
        let best = index.retrieve(&Query::new("needle", limit)).await.expect("found");
        assert_eq!(sources(best), order[..5]);
    }

    async fn names_of_any_kind_are_names(index) {
        let long = "x".repeat(100_000);
        let longer = format!("{long}y");
        let odd = ["", " ", "\0", "a\0b", "a/b", "é", "e\u{301}", "{\"a\":1}", &long, &longer];
        for name in odd {
            put(index, &[(name, "needle")]).await;
        }
        commit(index).await;
        assert_eq!(search(index, "needle").await.len(), odd.len());
        for (done, name) in odd.iter().enumerate() {
            remove(index, &[name]).await;
            commit(index).await;
            let left: Vec<_> = search(index, "needle").await.into_iter().map(|passage| passage.source.document).collect();
            assert_eq!(left, odd[done + 1..]);
        }
    }

    async fn a_commit_of_nothing_is_fine(index) {
        commit(index).await;
        remove(index, &["a"]).await;
        commit(index).await;
        put(index, &[]).await;
        commit(index).await;
        assert!(index.is_empty());
        put(index, &[("a", "needle")]).await;
        remove(index, &["a"]).await;
        commit(index).await;
        assert_eq!(found(index, "needle").await, [""; 0]);
        assert_eq!(names(index).await, [""; 0]);
    }

    async fn an_index_that_is_changed_much_stays_small(index) {
        for round in 0..40 {
            let texts: Vec<_> = (0..20).map(|i| (i.to_string(), format!("needle {round}"))).collect();
            index.put(texts.iter().map(|(name, text)| document(name, text)).collect()).await.expect("put");
            commit(index).await;
        }
        assert_eq!(index.len(), 20);
        assert!(search(index, "needle").await.iter().all(|passage| passage.text == "needle 39"));
    }
}

#[tokio::test]
async fn what_was_committed_is_there_when_it_is_opened_again() {
    let folder = folder();
    let index = open(&folder).await;
    put(&index, &[("a", "one needle|another needle"), ("b", "two needles"), ("blank", "")]).await;
    commit(&index).await;
    put(&index, &[("a", "third needle")]).await;
    remove(&index, &["b"]).await;
    let before = search(&index, "needle").await;
    drop(index);

    let index = open(&folder).await;
    assert_eq!(names(&index).await, ["a", "b", "blank"]);
    assert_eq!(search(&index, "needle").await, before);
    assert_eq!(index.len(), 3);

    // The order goes on where it ended.
    put(&index, &[("c", "one needle")]).await;
    commit(&index).await;
    let order = ["one needle", "another needle", "two needles", "one needle"];
    assert_eq!(found(&index, "needle").await, order);
}

#[tokio::test]
async fn an_index_that_is_changed_much_leaves_no_files_behind() {
    let folder = folder();
    let index = open(&folder).await;
    let mut most = 0;
    for round in 0..40 {
        let texts: Vec<_> = (0..10).map(|i| (i.to_string(), format!("needle {round}"))).collect();
        index.put(texts.iter().map(|(name, text)| document(name, text)).collect()).await.expect("put");
        commit(&index).await;
        most = most.max(std::fs::read_dir(folder.path()).expect("a folder").count());
    }
    assert!(most < 60, "{most} files");
}

#[tokio::test]
async fn what_was_made_from_a_folder_can_be_changed_too() {
    let docs = folder();
    std::fs::write(docs.path().join("a.md"), "one needle").expect("written");
    std::fs::write(docs.path().join("b.md"), "two needles").expect("written");
    let index = Bm25Index::from_dir(docs.path()).await.expect("an index");
    assert_eq!(names(&index).await, ["a.md", "b.md"]);
    remove(&index, &["a.md"]).await;
    put(&index, &[("b.md", "other needles")]).await;
    commit(&index).await;
    assert_eq!(found(&index, "needle").await, ["other needles"]);
}
