use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::worker::Timeouts;
use tokio::time::Instant;
use workers_pool::policy::{LeastOutstanding, RoundRobin, Weighted};
use workers_pool::{BreakerConfig, Member, Pool};

use crate::common::{answers, member, pool, request, who};

#[derive(Clone)]
struct Embeds {
    name: &'static str,
    fails: Option<WorkerErrorKind>,
    hangs: bool,
    calls: Arc<AtomicUsize>,
}

impl Embeds {
    fn new(name: &'static str, fails: Option<WorkerErrorKind>) -> Self {
        Self { name, fails, hangs: false, calls: Arc::default() }
    }

    fn hanging() -> Self {
        Self { hangs: true, ..Self::new("e5", None) }
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
        if self.hangs {
            std::future::pending::<()>().await;
        }
        match self.fails {
            Some(kind) => Err(WorkerError::new(kind, "it fails")),
            None => Ok(texts.iter().map(|text| vec![text.len() as f32]).collect()),
        }
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.embed(texts).await.map(|vectors| Embedded::new(vectors).tokens(7))
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

#[tokio::test(start_paused = true)]
async fn texts_do_not_take_the_turns_of_requests() {
    let policies: [fn(&Pool); 3] = [
        |pool| pool.set_policy(RoundRobin::new()),
        |pool| pool.set_policy(Weighted::new()),
        |pool| pool.set_policy(LeastOutstanding::new()),
    ];
    for set in policies {
        let (one, other) = (Embeds::new("e5", None), Embeds::new("e5", None));
        let pool = of([one.clone(), other.clone()]);
        set(&pool);
        let embedder = pool.embedder().expect("they embed");
        for _ in 0..20 {
            embedder.embed(&["q"]).await.expect("embedded");
            who(&pool, request()).await.expect("answered");
        }
        assert_eq!((member(&pool, "a").calls, member(&pool, "b").calls), (10, 10), "{}", pool.stats().policy);
        assert_eq!((one.calls(), other.calls()), (10, 10), "{}", pool.stats().policy);
    }
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_fails_is_left_alone_and_the_others_share_what_it_had() {
    let (dead, one, other) =
        (Embeds::new("e5", Some(WorkerErrorKind::Transient)), Embeds::new("e5", None), Embeds::new("e5", None));
    let embedder = of([dead.clone(), one.clone(), other.clone()]).embedder().expect("they embed");
    for _ in 0..1_000 {
        embedder.embed(&["q"]).await.expect("embedded");
    }
    assert_eq!(dead.calls(), 5, "five in a row, as for requests");
    assert!(one.calls().abs_diff(other.calls()) <= 5, "{} and {}", one.calls(), other.calls());
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..9 {
        embedder.embed(&["q"]).await.expect("embedded");
    }
    assert_eq!(dead.calls(), 6, "one of them was its probe");
}

#[tokio::test(start_paused = true)]
async fn an_embedder_that_hangs_is_waited_for_as_long_as_its_members_first_token() {
    for (limits, limit) in [(None, 120), (Some(Timeouts::none().first_token(Duration::from_secs(3))), 3)] {
        let hanging = Embeds::hanging();
        let first = Member::new("a", answers("x")).embedder(hanging.clone()).breaker(BreakerConfig::new().in_a_row(1));
        let first = limits.into_iter().fold(first, Member::timeouts);
        let pool = pool([first, Member::new("b", answers("x")).embedder(Embeds::new("e5", None))]);
        let embedder = pool.embedder().expect("they embed");
        let start = Instant::now();
        assert_eq!(embedder.embed(&["ab"]).await.expect("by the other"), [[2.0]]);
        assert_eq!(start.elapsed(), Duration::from_secs(limit));
        for _ in 0..10 {
            embedder.embed_query("ab").await.expect("by the other");
        }
        assert_eq!((start.elapsed(), hanging.calls()), (Duration::from_secs(limit), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_are_left_alone_it_is_said_until_when() {
    let dead = || Embeds::new("e5", Some(WorkerErrorKind::Transient));
    let pool = of([dead(), dead()]);
    let embedder = pool.embedder().expect("they embed");
    for _ in 0..5 {
        let error = embedder.embed(&["q"]).await.expect_err("they fail");
        assert_eq!(error.kind(), WorkerErrorKind::Transient);
    }
    let error = pool.embedder().expect("they embed").embed(&["q"]).await.expect_err("they are left alone");
    assert_eq!(error.kind(), WorkerErrorKind::Overloaded);
    assert!(error.retry_after().is_some_and(|pause| pause <= Duration::from_secs(1)), "{error:?}");
    who(&pool, request()).await.expect("requests are no business of that breaker");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_probe_to_the_next_one() {
    let hanging = Embeds::hanging();
    let config = BreakerConfig::new().in_a_row(1);
    let limits = Timeouts::none().first_token(Duration::from_secs(1));
    let only = Member::new("a", answers("x")).embedder(hanging.clone()).breaker(config).timeouts(limits);
    let embedder = pool([only]).embedder().expect("it embeds");
    embedder.embed(&["q"]).await.expect_err("it hangs");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let gave_up = tokio::time::timeout(Duration::from_millis(10), embedder.embed(&["q"])).await;
    assert!(gave_up.is_err());
    embedder.embed(&["q"]).await.expect_err("it hangs");
    assert_eq!(hanging.calls(), 3, "it was asked again");
}

#[tokio::test]
async fn what_a_member_counts_is_told() {
    let pool = of([Embeds::new("e5", Some(WorkerErrorKind::Transient)), Embeds::new("e5", None)]);
    let embedded = pool.embedder().expect("they embed").embed_counted(&["one"]).await.expect("a vector");
    assert_eq!((embedded.vectors, embedded.tokens), (vec![vec![3.0]], Some(7)));
}
