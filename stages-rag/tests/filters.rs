//! Filters inside of the index over words, against what they say themselves.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use orchestrator_core::prelude::*;
use proptest::prelude::*;
use stages_rag::{Bm25Index, Index};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// Keys and values that run into each other where their border is lost, and some that are longer than a term may be.
fn piece() -> impl Strategy<Value = String> {
    let long = "x".repeat(70_000);
    prop_oneof![
        6 => prop::sample::select(vec!["", "a", "b", "ab", "a\0", "\0", "\0b", "=", "a=b", "\u{1}", "é", "猫", "/"])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec![long.clone(), format!("{long}y")]),
        1 => any::<String>(),
    ]
}

fn metadata() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(piece(), piece(), 0..5)
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf =
        prop_oneof![1 => Just(Filter::Any), 6 => (piece(), piece()).prop_map(|(key, value)| Filter::Is(key, value))];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::OneOf),
            inner.prop_map(|filter| !filter),
        ]
    })
}

fn search(index: &Bm25Index, query: &Query) -> Vec<Passage> {
    runtime().block_on(index.retrieve(query)).expect("a query never fails")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn a_search_finds_what_the_filter_accepts_as_if_there_were_none(
        all in prop::collection::vec(metadata(), 1..12),
        filters in prop::collection::vec(filter(), 1..6),
        limit in 1..12usize,
    ) {
        let passages: Vec<_> = (0..).zip(&all).map(|(i, metadata): (usize, _)| {
            // Of different lengths and in headings, too, so that the scores differ.
            let text = format!("needle {}", "hay ".repeat(i % 5));
            let headings = if i % 3 == 0 { vec!["needle".to_owned()] } else { Vec::new() };
            let mut passage = Passage::new(text, Source::new(i.to_string()).headings(headings), 0.0);
            passage.metadata.clone_from(metadata);
            passage
        }).collect();
        let index = Bm25Index::from_passages(passages).expect("an index");
        let query = Query::new("needle hay", NonZeroUsize::MAX);
        let unfiltered = search(&index, &query);
        prop_assert_eq!(unfiltered.len(), all.len());
        let limit = NonZeroUsize::new(limit).expect("not zero");
        // With what the metadata says, so that more than a few are met.
        let met = all[0].iter().map(|(key, value)| Filter::is(key, value));
        for filter in filters.into_iter().chain(met.clone()).chain(met.map(|filter| !filter)) {
            let mut expected = unfiltered.clone();
            expected.retain(|passage| filter.accepts(&passage.metadata));
            expected.truncate(limit.get());
            let found = search(&index, &query.clone().filter(filter.clone()).limit(limit));
            prop_assert_eq!(found, expected, "{:?}", filter);
        }
    }
}

#[tokio::test]
async fn what_a_filter_rejects_takes_nobodys_place() {
    let passage = |i: usize| {
        let text = if i < 500 { "needle" } else { "needle in a lot of hay" };
        let tenant = if i < 500 { "others" } else { "acme" };
        Passage::new(text, Source::new(i.to_string()), 0.0).with_metadata("tenant", tenant)
    };
    let index = Bm25Index::from_passages((0..505).map(passage)).expect("an index");
    let query = Query::new("needle", NonZeroUsize::new(4).expect("not zero")).filter(Filter::is("tenant", "acme"));
    let found = index.retrieve(&query).await.expect("found");
    assert_eq!(
        found.iter().map(|passage| passage.source.document.as_str()).collect::<Vec<_>>(),
        ["500", "501", "502", "503"]
    );
}

#[tokio::test]
async fn a_filter_goes_by_what_is_committed() {
    let index = Bm25Index::in_memory().expect("an index");
    let document = |tenant: &str| {
        let passage = Passage::new("needle", Source::new("a"), 0.0).with_metadata("tenant", tenant);
        stages_rag::Document::new("a", stages_rag::Fingerprint(0), vec![passage])
    };
    let query = |tenant: &str| Query::new("needle", NonZeroUsize::MIN).filter(Filter::is("tenant", tenant));
    for (now, before) in [("a", "b"), ("b", "a")] {
        index.put(vec![document(now)]).await.expect("put");
        index.commit().await.expect("committed");
        assert_eq!(index.retrieve(&query(now)).await.expect("found").len(), 1);
        assert_eq!(index.retrieve(&query(before)).await.expect("found").len(), 0);
    }
}
