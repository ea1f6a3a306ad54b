use std::collections::BTreeMap;
use std::sync::Arc;

use orchestrator_core::prelude::*;
use proptest::prelude::*;
use stages_rag::Hybrid;
use tokio::sync::Barrier;

use crate::common::*;

/// The formula, for every text on its own.
fn oracle(lists: &[(Vec<String>, f32)], constant: f32) -> BTreeMap<String, f32> {
    let mut scores = BTreeMap::new();
    for (list, weight) in lists {
        for (place, text) in list.iter().enumerate() {
            *scores.entry(text.clone()).or_insert(0.0) += weight / (constant + (place + 1) as f32);
        }
    }
    scores
}

fn list() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-h]", 0..8).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

proptest! {
    #[test]
    fn the_scores_are_those_of_the_formula_and_fall(
        lists in prop::collection::vec((list(), 0.1..3.0_f32), 0..5),
        constant in 1.0..100.0_f32,
        limit in 1..12_usize,
    ) {
        let mut hybrid = Hybrid::new().rank_constant(constant).expect("above zero");
        for (list, weight) in &lists {
            let texts: Vec<&str> = list.iter().map(String::as_str).collect();
            hybrid = hybrid.with(Listed::new(&texts), *weight).expect("above zero");
        }
        let found = runtime().block_on(hybrid.retrieve(&query(limit))).expect("found");
        let again = runtime().block_on(hybrid.retrieve(&query(limit))).expect("found");
        prop_assert_eq!(&found, &again);

        let scores = oracle(&lists, constant);
        prop_assert_eq!(found.len(), scores.len().min(limit));
        prop_assert!(found.is_sorted_by(|a, b| a.score >= b.score));
        for passage in &found {
            prop_assert!((passage.score - scores[&passage.text]).abs() < 1e-5, "{:?} in {:?}", passage, scores);
        }
        let worst = found.last().map_or(0.0, |passage| passage.score);
        let left_out = scores.iter().filter(|(text, _)| !found.iter().any(|passage| passage.text == **text));
        prop_assert!(left_out.into_iter().all(|(_, score)| *score <= worst + 1e-5));
    }
}

#[tokio::test]
async fn what_two_find_comes_first_and_equal_ones_keep_their_order() {
    let hybrid = Hybrid::new()
        .with(Listed::new(&["a", "both", "c"]), 1.0)
        .and_then(|hybrid| hybrid.with(Listed::new(&["b", "both", "d"]), 1.0))
        .expect("weights above zero");
    assert_eq!(texts(&hybrid, 9).await, ["both", "a", "b", "c", "d"]);
    assert_eq!(texts(&hybrid, 2).await, ["both", "a"]);
}

#[tokio::test]
async fn weights_decide_between_lists() {
    let hybrid = Hybrid::new()
        .with(Listed::new(&["a"]), 1.0)
        .and_then(|hybrid| hybrid.with(Listed::new(&["b"]), 1.5))
        .expect("weights above zero");
    assert_eq!(texts(&hybrid, 2).await, ["b", "a"]);
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let fault = Hybrid::new().with(Listed::new(&[]), weight).expect_err("refused");
        assert_eq!(fault.to_string(), "`weight` must be finite and above zero");
        assert_eq!(Hybrid::new().rank_constant(weight).expect_err("refused").field(), "rank_constant");
    }
}

#[tokio::test]
async fn the_same_text_elsewhere_is_another_passage() {
    let here = Passage::new("text", Source::new("d").lines(1, 2), 0.0);
    let there = Passage::new("text", Source::new("d").lines(5, 6), 0.0);
    let page = Passage::new("text", Source::new("d").page(2), 0.0);
    let all = vec![here, there, page];
    let hybrid = Hybrid::new()
        .with(Listed::of(all.clone()), 1.0)
        .and_then(|hybrid| hybrid.with(Listed::of(all), 1.0))
        .expect("weights above zero");
    assert_eq!(texts(&hybrid, 9).await.len(), 3);
}

#[tokio::test]
async fn each_is_asked_for_more_with_the_same_filter() {
    let listed = Listed::new(&["a"]);
    let asked = listed.asked.clone();
    let hybrid = Hybrid::new().with(listed, 1.0).expect("above zero");
    let filter = Filter::is("tenant", "acme");
    for (limit, depth) in [(1, 20), (10, 20), (11, 22), (usize::MAX, usize::MAX)] {
        hybrid.retrieve(&query(limit).filter(filter.clone())).await.expect("found");
        let deep = asked.lock().expect("not poisoned").pop().expect("asked");
        assert_eq!((deep.limit.get(), &deep.filter, &*deep.text), (depth, &filter, "question"));
    }
}

#[tokio::test]
async fn one_that_fails_fails_the_search_with_its_error() {
    let hybrid = Hybrid::new()
        .with(Listed::new(&["a"]), 1.0)
        .and_then(|hybrid| hybrid.with(Listed::failing(WorkerErrorKind::Overloaded), 1.0))
        .expect("weights above zero");
    assert_eq!(failure(&hybrid).await, WorkerErrorKind::Overloaded);
    assert!(texts(&Hybrid::new(), 3).await.is_empty());
}

/// Finds nothing, once another one is asked as well.
struct Meeting(Arc<Barrier>);

impl Retriever for Meeting {
    type Error = WorkerError;

    async fn retrieve(&self, _: &Query) -> Result<Vec<Passage>, WorkerError> {
        self.0.wait().await;
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_at_once() {
    let barrier = Arc::new(Barrier::new(2));
    let hybrid = Hybrid::new()
        .with(Meeting(barrier.clone()), 1.0)
        .and_then(|hybrid| hybrid.with(Meeting(barrier), 1.0))
        .expect("weights above zero");
    let question = query(1);
    let search = tokio::time::timeout(std::time::Duration::from_secs(1), hybrid.retrieve(&question));
    assert!(search.await.expect("they meet").expect("found").is_empty());
}
