use std::num::NonZeroUsize;
use std::sync::Arc;

use orchestrator_core::prelude::*;
use proptest::prelude::*;
use stages_rag::{Diverse, HashingEmbedder, Hybrid, Reranked, Reranker};

use crate::common::*;

/// Gives the scores that it is told to, one more or one less where told so.
#[derive(Debug, Clone)]
enum Scored {
    By(Vec<f32>),
    Length,
    Failing,
}

impl Reranker for Scored {
    type Error = WorkerError;

    async fn rerank(&self, question: &str, passages: &[Passage]) -> Result<Vec<f32>, WorkerError> {
        assert_eq!(question, "question");
        match self {
            Self::By(scores) => Ok(scores.clone()),
            Self::Length => Ok(passages.iter().map(|passage| passage.text.len() as f32).collect()),
            Self::Failing => Err(WorkerError::new(WorkerErrorKind::ContentFilter, "told to")),
        }
    }
}

proptest! {
    #[test]
    fn the_best_are_kept_and_equal_ones_in_order(
        scores in prop::collection::vec(-3..4_i8, 1..15),
        limit in 1..15_usize,
    ) {
        let names: Vec<String> = (0..scores.len()).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        let reranked = Reranked::new(Listed::new(&names), Scored::By(scores.clone()));
        let found = runtime().block_on(reranked.retrieve(&query(limit))).expect("found");

        let mut expected: Vec<(f32, usize)> = scores.into_iter().zip(0..).collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        expected.truncate(limit);
        let found: Vec<(f32, usize)> =
            found.iter().map(|passage| (passage.score, passage.text.parse().expect("a number"))).collect();
        prop_assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn scores_that_cannot_be_used_are_a_protocol_error() {
    for scores in [vec![], vec![1.0], vec![1.0; 3], vec![1.0, f32::NAN]] {
        let reranked = Reranked::new(Listed::new(&["a", "b"]), Scored::By(scores));
        assert_eq!(failure(&reranked).await, WorkerErrorKind::Protocol);
    }
    assert_eq!(failure(&Reranked::new(Listed::new(&["a"]), Scored::Failing)).await, WorkerErrorKind::ContentFilter);
    let nothing_found = Reranked::new(Listed::new(&[]), Scored::Failing);
    assert!(texts(&nothing_found, 3).await.is_empty());
    let failing = Reranked::new(Listed::failing(WorkerErrorKind::Auth), Scored::Length);
    assert_eq!(failure(&failing).await, WorkerErrorKind::Auth);
}

#[tokio::test]
async fn what_lies_beyond_the_limit_may_come_first() {
    let five = NonZeroUsize::new(5).expect("not zero");
    let names = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"];
    let reranked = Reranked::new(Listed::new(&names), Scored::Length).candidates(five);
    assert_eq!(texts(&reranked, 2).await, ["eeeee", "dddd"]);
    assert_eq!(texts(&reranked, 6).await[0], "ffffff");
}

#[tokio::test]
async fn they_stand_around_each_other() {
    let hybrid = Hybrid::new()
        .with(Listed::new(&["one queue", "two"]), 1.0)
        .and_then(|hybrid| hybrid.with(Listed::new(&["two", "one queues"]), 1.0))
        .expect("weights above zero");
    let reranked = Reranked::new(hybrid, Scored::Length);
    let diverse = Diverse::new(reranked, Arc::new(HashingEmbedder::default())).lambda(0.1).expect("between 0 and 1");
    let both = Hybrid::new().with(diverse, 1.0).expect("above zero");
    let found = texts(&both, 3).await;
    assert_eq!(found.len(), 3);
    assert_eq!(found[1], "two");
}
