//! Putting, replacing, removing and committing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orchestrator_core::prelude::*;
use stages_rag::{Fingerprint, Index, VectorIndex};

use crate::common::*;

#[tokio::test]
async fn the_nearest_come_first_with_their_cosine() {
    let index = VectorIndex::in_memory(spelled());
    assert!(index.is_empty());
    put(&index, "a", &["1 0", "0 2"]).await;
    put(&index, "b", &["3 4"]).await;
    index.commit().await.expect("committed");
    assert_eq!(index.len(), 3);

    let found = find(&index, "10 0", 2).await;
    assert_eq!(found.iter().map(|passage| &*passage.text).collect::<Vec<_>>(), ["1 0", "3 4"]);
    assert!((found[0].score - 1.0).abs() < 1e-6 && (found[1].score - 0.6).abs() < 1e-6, "{found:?}");
    assert_eq!(texts(&index, "0 -1").await, ["1 0", "3 4", "0 2"]);
}

#[tokio::test]
async fn what_is_known_of_a_passage_comes_back_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source::new("a").headings(vec!["H".into(), "h".into()]).lines(3, 9).page(7);
    let passage = Passage::new("1 0", source, 0.5).with_metadata("tenant", "acme").with_metadata("language", "en");
    let plain = Passage::new("0 1", Source::new("a"), 0.5);
    let both = stages_rag::Document::new("a", Fingerprint(3), vec![passage.clone(), plain.clone()]);
    let index = open(folder.path()).await;
    index.put(vec![both]).await.expect("put");
    index.commit().await.expect("committed");
    let first = find(&index, "1 0", 2).await;
    drop(index);
    let again = find(&open(folder.path()).await, "1 0", 2).await;
    for found in [first, again] {
        assert_eq!((&found[0].source, &found[0].metadata), (&passage.source, &passage.metadata));
        assert_eq!((&found[1].source, &found[1].metadata), (&plain.source, &plain.metadata));
    }
}

#[tokio::test]
async fn nothing_is_seen_before_the_commit_and_all_of_it_after() {
    let index = VectorIndex::in_memory(spelled());
    put(&index, "a", &["1 0"]).await;
    put(&index, "b", &["0 1"]).await;
    assert!(texts(&index, "1 0").await.is_empty());
    assert_eq!(names(&index).await, ["a", "b"]);
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "1 0").await, ["1 0", "0 1"]);

    put(&index, "a", &["0.5 0.5", "-1 0"]).await;
    index.remove(vec!["b".into(), "never there".into()]).await.expect("removed");
    assert_eq!(texts(&index, "1 0").await, ["1 0", "0 1"]);
    assert_eq!(names(&index).await, ["a"]);
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "1 0").await, ["0.5 0.5", "-1 0"]);
    assert_eq!(
        index.documents().await.expect("listed").into_iter().collect::<Vec<_>>(),
        [("a".into(), Fingerprint(2))]
    );
}

#[tokio::test]
async fn the_last_word_on_a_document_counts() {
    let index = VectorIndex::in_memory(spelled());
    put(&index, "a", &["1 0"]).await;
    put(&index, "a", &["0 1"]).await;
    put(&index, "b", &["1 1"]).await;
    index.remove(vec!["b".into()]).await.expect("removed");
    index.remove(vec!["c".into()]).await.expect("removed");
    put(&index, "c", &["2 1"]).await;
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "0 1").await, ["0 1", "2 1"]);
    let twice = vec![document("a", 1, &["1 2"]), document("a", 2, &["1 3"])];
    index.put(twice).await.expect("put");
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "0 1").await, ["1 3", "2 1"]);
}

#[tokio::test]
async fn a_document_without_passages_is_remembered() {
    let index = VectorIndex::in_memory(spelled());
    put(&index, "empty", &[]).await;
    index.commit().await.expect("committed");
    assert_eq!(names(&index).await, ["empty"]);
    assert!(texts(&index, "1 0").await.is_empty());
}

#[tokio::test]
async fn an_emptied_index_can_be_filled_again() {
    let index = VectorIndex::in_memory(spelled());
    for _ in 0..3 {
        put(&index, "a", &["1 0", "0 1"]).await;
        index.commit().await.expect("committed");
        assert_eq!(index.len(), 2);
        index.remove(vec!["a".into()]).await.expect("removed");
        index.commit().await.expect("committed");
        assert!(index.is_empty() && texts(&index, "1 0").await.is_empty());
    }
}

#[tokio::test]
async fn the_same_query_finds_the_same_list_and_equal_passages_keep_their_order() {
    let index = VectorIndex::in_memory(spelled());
    for name in ["b", "a", "c"] {
        put(&index, name, &["1 0", "1 0"]).await;
    }
    index.commit().await.expect("committed");
    let sources = |found: Vec<Passage>| found.into_iter().map(|passage| passage.source.document).collect::<Vec<_>>();
    for limit in 1..=6 {
        let found = sources(find(&index, "1 0", limit).await);
        assert_eq!(found, ["a", "a", "b", "b", "c", "c"][..limit]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_sees_one_commit_whole_while_the_next_is_made() {
    let index = VectorIndex::in_memory(spelled());
    let done = Arc::new(AtomicBool::new(false));
    // Every commit replaces both documents by one generation of texts.
    let generation = |number: u32| {
        let texts: Vec<String> = (0..20).map(|i| format!("{} {i}", number + 1)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        vec![document("a", number.into(), &texts), document("b", number.into(), &texts)]
    };
    index.put(generation(0)).await.expect("put");
    index.commit().await.expect("committed");
    let reader = tokio::spawn({
        let (index, done) = (index.clone(), done.clone());
        async move {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let found = texts(&index, "1 1").await;
                assert_eq!(found.len(), 40);
                let numbers: std::collections::BTreeSet<String> =
                    found.iter().map(|text| text.split(' ').next().expect("a number").to_owned()).collect();
                assert_eq!(numbers.len(), 1, "texts of two commits in one list");
                seen.extend(numbers);
            }
            seen.len()
        }
    });
    for number in 1..60 {
        index.put(generation(number)).await.expect("put");
        index.commit().await.expect("committed");
    }
    done.store(true, Ordering::Relaxed);
    assert!(reader.await.expect("no panic") > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_while_a_commit_is_made_waits_for_the_next() {
    let index = VectorIndex::in_memory(spelled());
    for round in 0..30_u32 {
        put(&index, "a", &[&format!("1 {round}")]).await;
        let committing = tokio::spawn({
            let index = index.clone();
            async move { index.commit().await }
        });
        put(&index, "b", &[&format!("2 {round}")]).await;
        put(&index, "a", &[&format!("3 {round}"), "0 1"]).await;
        committing.await.expect("no panic").expect("committed");
        assert_eq!(names(&index).await, ["a", "b"]);
        index.commit().await.expect("committed");
        let mut found = texts(&index, "1 0").await;
        found.sort();
        assert_eq!(found, ["0 1".to_owned(), format!("2 {round}"), format!("3 {round}")]);
    }
}

#[tokio::test]
async fn a_commit_that_is_given_up_leaves_its_changes_for_the_next() {
    let index = VectorIndex::in_memory(spelled());
    let mut random = fastrand::Rng::with_seed(1);
    let vectors: Vec<_> = (0..20_000).map(|_| point(&mut random, 16)).collect();
    index.put(documents(&vectors)).await.expect("put");
    {
        let commit = index.commit();
        tokio::pin!(commit);
        // Polled once, so that the work is under way.
        assert!(futures_util::poll!(commit.as_mut()).is_pending());
    }
    assert!(index.is_empty());
    assert_eq!(names(&index).await.len(), 20_000);
    index.remove((100..20_000).map(|number| number.to_string()).collect()).await.expect("removed");
    index.commit().await.expect("committed");
    assert_eq!(index.len(), 100);
}

#[tokio::test]
async fn vectors_that_were_never_committed_fix_no_length() {
    let index = VectorIndex::in_memory(spelled());
    put(&index, "a", &["1 0"]).await;
    index.remove(vec!["a".into()]).await.expect("removed");
    put(&index, "b", &["1 0 0"]).await;
    index.commit().await.expect("committed");
    assert_eq!(texts(&index, "1 0 0").await, ["1 0 0"]);
}
