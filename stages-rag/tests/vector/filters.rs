//! A filter comes before the limit, and its list is complete.

use std::collections::BTreeMap;

use orchestrator_core::prelude::*;
use proptest::prelude::*;
use stages_rag::{Document, Fingerprint, Index, VectorIndex};

use crate::common::*;

/// Passages with their vectors.
type Known = (Vec<f32>, Passage);

/// Compares every passage that the filter accepts with the question.
fn brute_force(passages: &[Known], question: &[f32], query: &Query) -> Vec<String> {
    let accepted = passages.iter().filter(|(_, passage)| query.filter.accepts(&passage.metadata));
    let mut all: Vec<_> = accepted.map(|(vector, passage)| (cosine(vector, question), &passage.text)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(query.limit.get()).map(|(_, text)| text.clone()).collect()
}

fn filter() -> impl Strategy<Value = Filter> {
    let is = ("[abc]", "[xyz]").prop_map(|(key, value)| Filter::is(key, value));
    let leaf = prop_oneof![Just(Filter::Any), is, Just(Filter::All(vec![])), Just(Filter::OneOf(vec![]))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(|a| !a),
        ]
    })
}

fn metadata() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[abc]", "[xyz]", 0..3)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_filtered_search_finds_what_brute_force_finds(
        all in prop::collection::vec(metadata(), 1..60),
        filter in filter(),
        limit in 1..20_usize,
        seed in any::<u64>(),
        removed in 0..20_usize,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let passage = |metadata: BTreeMap<String, String>| {
            let vector = point(&mut random, 6);
            let plain = Passage::new(spell(&vector), Source::new("d"), 0.0);
            (vector, metadata.into_iter().fold(plain, |passage, (key, value)| passage.with_metadata(key, value)))
        };
        let mut passages: Vec<Known> = all.into_iter().map(passage).collect();
        let vector = point(&mut random, 6);
        let question = query(&spell(&vector), limit).filter(filter);
        let found = runtime().block_on(async {
            let index = VectorIndex::in_memory(spelled());
            let document = |(number, (_, passage)): (usize, &Known)| {
                Document::new(number.to_string(), Fingerprint(0), vec![passage.clone()])
            };
            index.put(passages.iter().enumerate().map(document).collect()).await.expect("put");
            index.commit().await.expect("committed");
            let removed = removed.min(passages.len());
            index.remove((0..removed).map(|number| number.to_string()).collect()).await.expect("removed");
            index.commit().await.expect("committed");
            passages.drain(..removed);
            index.retrieve(&question).await.expect("found")
        });
        let texts: Vec<String> = found.into_iter().map(|passage| passage.text).collect();
        prop_assert_eq!(texts, brute_force(&passages, &vector, &question));
    }
}

/// So many that there is a graph.
const MANY: usize = 7_000;

/// Passages whose metadata says in which of how many groups they are, and on which side of the sphere they lie.
async fn grouped() -> (VectorIndex, Vec<Known>) {
    let mut random = fastrand::Rng::with_seed(9);
    let passage = |number: usize| {
        let mut vector = point(&mut random, 8);
        // A tenth lies where the questions will be.
        if number.is_multiple_of(10) {
            vector[0] = 9.0;
        }
        let side = if vector[0] > 0.0 { "right" } else { "left" };
        let passage = Passage::new(spell(&vector), Source::new("d"), 0.0)
            .with_metadata("side", side)
            .with_metadata("of 1000", (number % 1_000).to_string())
            .with_metadata("of 10", (number % 10).to_string());
        (vector, passage)
    };
    let passages: Vec<Known> = (0..MANY).map(passage).collect();
    let index = VectorIndex::in_memory(spelled());
    let document = passages.iter().map(|(_, passage)| passage.clone()).collect();
    index.put(vec![Document::new("d", Fingerprint(0), document)]).await.expect("put");
    index.commit().await.expect("committed");
    (index, passages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_accepts_few_or_only_far_ones_finds_them_all_in_a_graph() {
    let (index, passages) = grouped().await;
    let mut random = fastrand::Rng::with_seed(10);
    let filters = [
        Filter::Any,
        Filter::is("of 1000", "7"),
        Filter::is("of 10", "3"),
        !Filter::is("of 10", "3"),
        !Filter::is("of 10", "0"),
        Filter::is("side", "left"),
        Filter::is("side", "none"),
    ];
    for filter in filters {
        let mut missed = 0;
        for _ in 0..20 {
            let mut vector = point(&mut random, 8);
            // As far as can be from those on the left.
            vector[0] = 9.0;
            let question = query(&spell(&vector), 10).filter(filter.clone());
            let found = index.retrieve(&question).await.expect("found");
            let expected = brute_force(&passages, &vector, &question);
            assert_eq!(found.len(), expected.len(), "{filter:?}");
            assert!(found.iter().all(|passage| filter.accepts(&passage.metadata)));
            missed += expected.iter().filter(|text| !found.iter().any(|passage| passage.text == **text)).count();
        }
        assert!(missed <= 2, "{missed} of 200 missed with {filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_beyond_what_there_is_gives_all_of_it() {
    let (index, _) = grouped().await;
    let question = spell(&[1.0; 8]);
    for (filter, count) in [(Filter::Any, MANY), (Filter::is("of 10", "3"), MANY / 10)] {
        let all = index.retrieve(&query(&question, usize::MAX).filter(filter)).await.expect("found");
        assert_eq!(all.len(), count);
        assert!(all.is_sorted_by(|a, b| a.score >= b.score));
    }
}
