use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::policy::{Cheapest, LeastOutstanding, Ordered, PeakEwma, RoundRobin, SessionAffinity, Weighted};
use workers_pool::{Member, MemberState};

use crate::common::{answers, holds, member, pool, request, slots, who};

fn slow() -> MockWorker {
    let time = Duration::from_millis(60);
    MockWorker::new(Script::new().delay(time).streaming().text("x").delay(time).finish()).slots(slots(400))
}

#[tokio::test(start_paused = true)]
async fn a_drained_member_ends_what_it_has_and_gets_nothing_new() {
    let pool = pool([Member::new("a", holds()), Member::new("b", answers("x"))]);
    pool.set_policy(Ordered::new());
    let mut stream = pool.infer(request()).await.expect("taken");
    let mut drained = Box::pin(pool.drain("a"));
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut drained).await.is_err(), "it works on one");
    assert_eq!(member(&pool, "a").state, MemberState::Draining);
    assert_eq!(pool.slots().expect("it has some").total(), Member::IN_FLIGHT, "its slots are not offered");
    assert_eq!(who(&pool, request()).await.expect("answered"), "b");
    assert_eq!(stream.next().await.expect("an event").expect("it goes on").text(), "t");
    drop(stream);
    drained.await.expect("it is there");
    assert_eq!(member(&pool, "a").in_flight, 0);
    pool.resume("a").expect("it is there");
    assert_eq!(pool.infer(request()).await.map(|_| member(&pool, "a").state).expect("taken"), MemberState::Serving);
    assert_eq!(member(&pool, "a").calls, 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_when_its_member_is_resumed() {
    let pool = pool([Member::new("a", holds())]);
    let stream = pool.infer(request()).await.expect("taken");
    let mut drained = Box::pin(pool.drain("a"));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut drained).await.is_err(), "it works on one");
    pool.resume("a").expect("it is there");
    let resumed = tokio::time::timeout(Duration::from_secs(1), drained).await.expect("it ends");
    assert_eq!(resumed.expect_err("it is not drained").field(), "member");
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_removed_member_ends_what_it_has() {
    let pool = pool([Member::new("a", holds()), Member::new("b", answers("x"))]);
    pool.set_policy(Ordered::new());
    let mut stream = pool.infer(request()).await.expect("taken");
    pool.remove("a").expect("it is there");
    assert_eq!(stream.next().await.expect("an event").expect("it goes on").text(), "t");
    assert_eq!(who(&pool, request()).await.expect("answered"), "b");
    pool.add(Member::new("a", answers("x"))).expect("the name is free");
    assert_eq!(member(&pool, "a").calls, 0, "it is another one");
    pool.remove("b").and_then(|()| pool.remove("a")).expect("they are there");
    let error = who(&pool, request()).await.expect_err("nobody is there");
    assert_eq!(error.message(), "no member takes requests now");
}

#[tokio::test(start_paused = true)]
async fn a_weight_counts_from_the_next_request_on() {
    let pool = pool([Member::new("a", answers("x")), Member::new("b", answers("x"))]);
    pool.set_policy(Weighted::new());
    pool.set_weight("b", 3.0).expect("it is there");
    for _ in 0..40 {
        who(&pool, request()).await.expect("answered");
    }
    assert_eq!((member(&pool, "a").calls, member(&pool, "b").calls), (10, 30));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_are_not_disturbed_by_changes() {
    let workers: Vec<_> = (0..4).map(|_| slow()).collect();
    let pool = pool(workers.iter().enumerate().map(|(number, worker)| Member::new(number.to_string(), worker.clone())));
    let config = StageConfig::new().shed(ShedPolicy::Backpressure);
    let pipeline = Pipeline::builder("test")
        .stage_with(InferenceStage::new(pool.clone()), config)
        .stage(StreamStage::default())
        .build()
        .expect("it is whole");
    let asked = (0..10_000).map(|number: usize| {
        let (pool, pipeline) = (&pool, &pipeline);
        async move {
            tokio::time::sleep(Duration::from_micros(100) * number as u32).await;
            if number.is_multiple_of(2) {
                who(pool, request()).await.map(drop).map_err(|error| error.to_string())
            } else {
                let prompt = PromptRequest::new("?").session((number % 7).to_string());
                let mut answer = pipeline.submit(prompt).await.map_err(|error| error.to_string())?;
                answer.text().await.map(drop).map_err(|error| error.to_string())
            }
        }
    });
    let changes = async {
        let mut most = 0;
        for round in 0..30_usize {
            tokio::time::sleep(Duration::from_millis(2)).await;
            most = most.max(workers.iter().map(|worker| worker.stats().live).sum());
            let name = (round % 4).to_string();
            match round % 7 {
                0 => pool.set_policy(RoundRobin::new()),
                1 => pool.set_policy(SessionAffinity::new()),
                2 => pool.set_policy(LeastOutstanding::new()),
                3 => pool.set_policy(Cheapest::within(Duration::from_millis(10))),
                4 => pool.set_policy(Weighted::new()),
                5 => pool.set_policy(PeakEwma::default()),
                _ => pool.set_policy(Ordered::new()),
            }
            pool.set_weight(&name, 1.0 + round as f64).expect("it is there");
            match round % 3 {
                0 => {
                    pool.remove(&name).expect("it is there");
                    pool.add(Member::new(name, workers[round % 4].clone())).expect("its name is free");
                }
                1 => {
                    pool.drain(&name).await.expect("it is there");
                    pool.resume(&name).expect("it is there");
                }
                _ => pool.set_policy(RoundRobin::new()),
            }
        }
        most
    };
    let (answers, most) = futures_util::future::join(join_all(asked), changes).await;
    let failed: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(most >= 1_000, "{most} at once");
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), failed.first());
    assert!(workers.iter().all(|worker| worker.stats().live == 0 && worker.stats().cancelled == 0));
    assert_eq!(pool.slots().expect("it has some").free(), pool.slots().expect("it has some").total());
}
