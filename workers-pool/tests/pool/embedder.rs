use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::retrieval::Embedder;
use workers_pool::policy::RoundRobin;
use workers_pool::{Member, Pool};

use crate::common::{answers, pool};

#[derive(Clone)]
struct Embeds {
    name: &'static str,
    fails: Option<WorkerErrorKind>,
    calls: Arc<AtomicUsize>,
}

impl Embeds {
    fn new(name: &'static str, fails: Option<WorkerErrorKind>) -> Self {
        Self { name, fails, calls: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for Embeds {
    fn name(&self) -> &str {
        self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.fails {
            Some(kind) => Err(WorkerError::new(kind, "it fails")),
            None => Ok(texts.iter().map(|text| vec![text.len() as f32]).collect()),
        }
    }

    async fn embed_query(&self, _question: &str) -> Result<Vec<f32>, WorkerError> {
        self.embed(&["a question"]).await.map(|mut vectors| vectors.remove(0))
    }
}

fn of(embedders: impl IntoIterator<Item = Embeds>) -> Pool {
    let names = ["a", "b", "c"].into_iter();
    let pool =
        pool(embedders.into_iter().zip(names).map(|(embeds, name)| Member::new(name, answers("x")).embedder(embeds)));
    pool.set_policy(RoundRobin::new());
    pool
}

#[tokio::test(start_paused = true)]
async fn members_embed_in_turn_and_those_that_do_not_are_left_out() {
    let (one, other) = (Embeds::new("e5", None), Embeds::new("e5", None));
    let pool = of([one.clone(), other.clone()]);
    pool.add(Member::new("no embedder", answers("x"))).expect("it is fine");
    let embedder = pool.embedder().expect("two embed");
    assert_eq!(embedder.name(), "e5");
    for _ in 0..4 {
        assert_eq!(embedder.embed(&["a", "bcd"]).await.expect("embedded"), [[1.0], [3.0]]);
    }
    assert_eq!((one.calls(), other.calls()), (2, 2));
    assert_eq!(embedder.embed_query("?").await.expect("embedded"), [10.0], "a question is marked as one");
    pool.remove("b").expect("it is there");
    embedder.embed(&["a"]).await.expect("embedded");
    embedder.embed(&["a"]).await.expect("embedded");
    assert_eq!(one.calls() + other.calls(), 7);
    assert!(other.calls() <= 3, "who has left is not asked");
}

#[tokio::test(start_paused = true)]
async fn who_fails_for_reasons_of_its_own_is_followed_by_the_others_once_each() {
    let (down, limited, well) = (
        Embeds::new("e5", Some(WorkerErrorKind::Transient)),
        Embeds::new("e5", Some(WorkerErrorKind::RateLimited)),
        Embeds::new("e5", None),
    );
    let embedder = of([down.clone(), limited.clone(), well.clone()]).embedder().expect("they embed");
    for _ in 0..6 {
        assert_eq!(embedder.embed(&["ab"]).await.expect("one is well"), [[2.0]]);
    }
    assert_eq!(well.calls(), 6);
    let embedder = of([down.clone(), limited]).embedder().expect("they embed");
    let before = down.calls();
    embedder.embed(&["ab"]).await.expect_err("none is well");
    assert_eq!(down.calls(), before + 1);
    let refuses = Embeds::new("e5", Some(WorkerErrorKind::InvalidRequest));
    let embedder = of([refuses.clone(), refuses.clone()]).embedder().expect("they embed");
    let error = embedder.embed(&["ab"]).await.expect_err("nobody takes it");
    assert_eq!((error.kind(), refuses.calls()), (WorkerErrorKind::InvalidRequest, 1));
}

#[test]
fn vectors_that_cannot_be_compared_are_refused() {
    let member = |name: &str, embeds| Member::new(name, answers("x")).embedder(Embeds::new(embeds, None));
    let error =
        Pool::builder("fleet").member(member("a", "e5")).member(member("b", "bge")).build().expect_err("two models");
    assert_eq!(error.to_string(), "pool `fleet` cannot be so: `embedder` of `b` is `bge`, and that of the others `e5`");
    let none = pool([Member::new("a", answers("x"))]);
    assert!(none.embedder().is_none());
    none.add(member("b", "bge")).expect("it is the first");
    assert_eq!(none.embedder().expect("there is one").name(), "bge");
}
