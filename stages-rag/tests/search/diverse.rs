use std::num::NonZeroUsize;
use std::sync::Arc;

use orchestrator_core::prelude::*;
use proptest::prelude::*;
use stages_rag::Diverse;

use crate::common::*;

/// Reads a text's vector from its numbers; the question's is fixed.
#[derive(Debug)]
struct Spelled;

#[async_trait]
impl Embedder for Spelled {
    fn name(&self) -> &str {
        "spelled"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        if texts.contains(&"1 1 fewer") {
            return Ok(Vec::new());
        }
        let numbers = |text: &&str| match *text {
            "question" => vec![1.0, 0.0],
            text => text.split(' ').map(|number| number.parse().expect("a number")).collect(),
        };
        Ok(texts.iter().map(numbers).collect())
    }
}

fn diverse(texts: &[&str], lambda: f32) -> Diverse<Listed> {
    Diverse::new(Listed::new(texts), Arc::new(Spelled)).lambda(lambda).expect("between 0 and 1")
}

fn cosine(a: &str, b: &str) -> f32 {
    let read = |text: &str| match text {
        "question" => [1.0, 0.0],
        text => {
            let (x, y) = text.split_once(' ').expect("two");
            [x.parse::<f64>().expect("a number"), y.parse().expect("a number")]
        }
    };
    let (a, b) = (read(a), read(b));
    ((a[0] * b[0] + a[1] * b[1]) / (a[0].hypot(a[1]) * b[0].hypot(b[1]))) as f32
}

/// What the formula says a passage is worth behind those that are taken.
fn gain(text: &str, taken: &[String], lambda: f32) -> f32 {
    let alike = taken.iter().map(|other| cosine(text, other)).max_by(f32::total_cmp).unwrap_or(0.0);
    lambda * cosine(text, "question") - (1.0 - lambda) * alike
}

proptest! {
    #[test]
    fn each_one_taken_is_worth_the_most_of_those_left(
        angles in prop::collection::vec(0..360_u16, 1..12),
        lambda in 0.0..=1.0_f32,
        limit in 1..12_usize,
    ) {
        let spell = |angle: &u16| format!("{} {}", f32::from(*angle).to_radians().cos(), f32::from(*angle).to_radians().sin());
        let candidates: Vec<String> = angles.iter().map(spell).collect();
        let refs: Vec<&str> = candidates.iter().map(String::as_str).collect();
        let taken = runtime().block_on(texts(&diverse(&refs, lambda), limit));
        prop_assert_eq!(&taken, &runtime().block_on(texts(&diverse(&refs, lambda), limit)));
        prop_assert_eq!(taken.len(), limit.min(candidates.len()));

        let mut left = candidates;
        for (place, text) in taken.iter().enumerate() {
            let worth = gain(text, &taken[..place], lambda);
            let best = left.iter().map(|text| gain(text, &taken[..place], lambda)).max_by(f32::total_cmp).expect("some");
            prop_assert!(worth >= best - 1e-5, "{} is worth {}, another one {}", text, worth, best);
            let place = left.iter().position(|other| other == text).expect("a candidate, once");
            left.remove(place);
        }
    }
}

#[tokio::test]
async fn what_repeats_comes_after_what_does_not() {
    let candidates = ["5 1", "5 1.1", "1 -2"];
    assert_eq!(texts(&diverse(&candidates, 1.0), 2).await, ["5 1", "5 1.1"]);
    assert_eq!(texts(&diverse(&candidates, 0.4), 2).await, ["5 1", "1 -2"]);
    assert_eq!(texts(&diverse(&["1 0", "2 0", "3 0"], 0.5), 3).await, ["1 0", "2 0", "3 0"]);
}

#[tokio::test]
async fn a_passage_keeps_its_score_and_one_without_direction_is_like_no_other() {
    let found = diverse(&["0 0", "1 1"], 0.5).retrieve(&query(2)).await.expect("found");
    assert_eq!(found.iter().map(|passage| &*passage.text).collect::<Vec<_>>(), ["1 1", "0 0"]);
    assert!(found.iter().all(|passage| passage.score == 0.25));
}

#[tokio::test]
async fn it_asks_for_its_candidates_or_for_as_many_as_are_wanted() {
    let listed = Listed::new(&["1 0"]);
    let asked = listed.asked.clone();
    let five = NonZeroUsize::new(5).expect("not zero");
    let diverse = Diverse::new(listed, Arc::new(Spelled)).candidates(five);
    let filter = Filter::is("tenant", "acme");
    for (limit, candidates) in [(1, 5), (5, 5), (6, 6)] {
        diverse.retrieve(&query(limit).filter(filter.clone())).await.expect("found");
        let wide = asked.lock().expect("not poisoned").pop().expect("asked");
        assert_eq!((wide.limit.get(), &wide.filter), (candidates, &filter));
    }
}

#[tokio::test]
async fn faults_are_typed() {
    for lambda in [-0.1, 1.1, f32::NAN] {
        let fault = Diverse::new(Listed::new(&[]), Arc::new(Spelled)).lambda(lambda).expect_err("refused");
        assert_eq!(fault.field(), "lambda");
    }
    assert_eq!(failure(&diverse(&["1 1 fewer"], 0.5)).await, WorkerErrorKind::Protocol);
    assert_eq!(failure(&diverse(&["1 1 1"], 0.5)).await, WorkerErrorKind::Protocol);
    assert_eq!(failure(&diverse(&["NaN 1"], 0.5)).await, WorkerErrorKind::Protocol);
    let failing = Diverse::new(Listed::failing(WorkerErrorKind::Auth), Arc::new(Spelled));
    assert_eq!(failure(&failing).await, WorkerErrorKind::Auth);
    assert!(texts(&diverse(&[], 0.5), 3).await.is_empty());
}
