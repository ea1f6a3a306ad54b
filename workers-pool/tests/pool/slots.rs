use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::answer::Tokens;
use orchestrator_core::error::{ErrorKind, RefuseReason, WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Slots;
use workers_pool::policy::Ordered;
use workers_pool::{Breaker, Member, Pool, Retry};

use crate::common::{Told, answers, holds, member, of, pool, request, slots, who};

/// A worker with slots that takes its time.
fn slow(slots: &Slots) -> MockWorker {
    let ms = Duration::from_millis(5);
    MockWorker::new(Script::new().delay(ms).streaming().text("x").delay(ms).finish()).slots(slots.clone())
}

fn pipeline(worker: impl ModelWorker) -> Pipeline<PromptRequest, Tokens> {
    let config = StageConfig::new().shed(ShedPolicy::Backpressure);
    Pipeline::builder("test")
        .stage_with(InferenceStage::new(worker), config)
        .stage(StreamStage::default())
        .build()
        .expect("it is whole")
}

async fn ask(pipeline: &Pipeline<PromptRequest, Tokens>) -> Result<String, Error> {
    pipeline.submit(PromptRequest::new("?")).await?.text().await
}

/// Whether a call is not done at once.
async fn waits<T>(call: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_secs(1), call).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn all_slots_of_all_members_are_used_and_no_more() {
    let (mac, gpu) = (slow(&slots(2)), slow(&slots(3)));
    let pool = pool([Member::new("mac", mac.clone()), Member::new("gpu", gpu.clone())]);
    let pipeline = pipeline(pool.clone());
    for answer in join_all((0..100).map(|_| ask(&pipeline))).await {
        assert_eq!(answer.expect("answered"), "x");
    }
    assert_eq!((mac.stats().most_live, gpu.stats().most_live), (2, 3));
    assert_eq!(mac.stats().calls + gpu.stats().calls, 100);
    let all = pool.slots().expect("it has some");
    assert_eq!((all.total(), all.free()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn two_pools_and_a_pipeline_share_a_servers_slots() {
    let server = slots(4);
    let worker = slow(&server);
    let member = || Member::new("shared", worker.clone());
    let one = pipeline(pool([member(), Member::new("own", slow(&slots(1)))]));
    let other = pipeline(pool([member(), Member::new("own", slow(&slots(1)))]));
    let alone = pipeline(worker.clone());
    let callers = (0..200).map(|number| ask([&one, &other, &alone][number % 3]));
    assert!(join_all(callers).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!((worker.stats().most_live, server.free()), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_let_out_of_its_queue_never_waits_where_all_are_alike() {
    let (mac, gpu) = (holds().slots(slots(2)), holds().slots(slots(2)));
    let pool = pool([Member::new("mac", mac.clone()), Member::new("gpu", gpu.clone())]);
    pool.set_policy(Ordered::new());
    let pipeline = pipeline(pool.clone());
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(pipeline.submit(PromptRequest::new("?")).await.expect("let in"));
    }
    for answer in &mut answers[..4] {
        answer.next().await.expect("an event").expect("it answers");
    }
    assert_eq!(pipeline.stats().stages[0].depth, 2, "the others are in the queue");
    assert_eq!((mac.stats().live, gpu.stats().live), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_the_wrong_member_is_given_back() {
    let (small, large) = (slots(1), slots(1));
    let told = |model: &str, slots: &Slots| Told { worker: slow(slots), info: WorkerInfo::new("mock").model(model) };
    let pool = pool([Member::new("small", told("small", &small)), Member::new("large", told("large", &large))]);
    let pipeline = pipeline(pool.clone());
    let asks = async |model: &str| pipeline.submit(PromptRequest::new("?").model(model)).await?.text().await;
    let both = ["large", "small", "large", "small", "large", "large"].map(asks);
    assert!(join_all(both).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!((member(&pool, "small").calls, member(&pool, "large").calls), (2, 4));
    assert_eq!((small.free(), large.free()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_busy_member_is_served_when_it_has_room_or_another_comes() {
    let told = |model: &str| Told { worker: holds().slots(slots(1)), info: WorkerInfo::new("mock").model(model) };
    let pool = pool([Member::new("small", told("small")), Member::new("large", told("large"))]);
    let large = || of(PromptRequest::new("?").model("large"));
    let first = pool.infer(large()).await.expect("taken");
    let mut second = Box::pin(pool.infer(large()));
    assert!(waits(&mut second).await);
    drop(first);
    let second = second.await.expect("taken");
    let mut third = Box::pin(pool.infer(large()));
    assert!(waits(&mut third).await);
    pool.add(Member::new("larger", told("large"))).expect("it is fine");
    let third = tokio::time::timeout(Duration::from_secs(1), third).await.expect("it has room").expect("taken");
    assert_eq!((member(&pool, "large").in_flight, member(&pool, "larger").in_flight), (1, 1));
    drop((second, third));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_a_member_holds_with_and_without_slots_of_its_server() {
    let server = slots(8);
    for (worker, holds) in [(slow(&server), 2), (slow(&slots(1)), 1), (answers("x"), 2)] {
        let limited = pool([Member::new("a", worker).in_flight(2)]);
        assert_eq!(limited.slots().expect("it has some").total(), holds);
    }
    let worker = slow(&server);
    let limited = pool([Member::new("a", worker.clone()).in_flight(2)]);
    let pipeline = pipeline(limited.clone());
    let (piped, by_hand) =
        (join_all((0..20).map(|_| ask(&pipeline))), join_all((0..20).map(|_| who(&limited, request()))));
    let (piped, by_hand) = futures_util::future::join(piped, by_hand).await;
    assert!(piped.into_iter().all(|answer| answer.is_ok()) && by_hand.into_iter().all(|answer| answer.is_ok()));
    assert_eq!((worker.stats().most_live, server.free()), (2, 8));
    assert_eq!(pool([Member::new("b", answers("x"))]).slots().expect("some").total(), Member::IN_FLIGHT);
}

#[tokio::test(start_paused = true)]
async fn the_door_knows_all_slots() {
    let second = Duration::from_secs(1);
    let of = |count| MockWorker::new(Script::new().streaming().delay(second).text("x").finish()).slots(slots(count));
    let pool = pool([Member::new("a", of(2)), Member::new("b", of(2))]);
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(pool))
        .stage(StreamStage::default())
        .build()
        .expect("whole");
    for _ in 0..8 {
        let four = join_all((0..4).map(|_| ask(&pipeline))).await;
        assert!(four.into_iter().all(|answer| answer.is_ok()));
    }
    // Two seconds may be waited: twelve go in by fours, and what is behind them is refused.
    let answers = join_all((0..40).map(|_| ask(&pipeline))).await;
    let let_in = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((8..=12).contains(&let_in), "{let_in} of 40 had an answer");
}

#[tokio::test(start_paused = true)]
async fn slots_of_a_pool_are_one_object_whatever_changes() {
    let pool: Pool = pool([Member::new("a", slow(&slots(2)))]);
    let before = pool.slots().expect("it has some");
    pool.add(Member::new("b", slow(&slots(3)))).expect("it is fine");
    assert_eq!((before.total(), before.free()), (5, 5));
    let slot = pool.slots().expect("it has some").try_acquire().expect("five are free");
    assert!(slot.is_of(&before));
    assert_eq!(before.free(), 4);
}

/// A pipeline whose one stage takes a worker's slots, and calls the worker as often as it is told.
fn by_a_stage(worker: Arc<dyn ModelWorker>, calls: usize) -> Pipeline<PromptRequest, String> {
    let config = StageConfig::new().slots(worker.slots().expect("it has some")).shed(ShedPolicy::Backpressure);
    let step = move |cx: Context, prompt: PromptRequest| {
        let (worker, request) = (worker.clone(), InferenceRequest::new(prompt, cx));
        async move {
            let mut who = String::new();
            for _ in 0..calls {
                who.push_str(&crate::common::who(&worker, request.clone()).await?);
            }
            Ok::<_, WorkerError>(who)
        }
    };
    Pipeline::builder("test").then_with("calls", config, step).build().expect("it is whole")
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_takes_the_slots_itself_calls_with_what_it_has() {
    let server = slots(1);
    let worker = slow(&server);
    let inner = pool([Member::new("inner", worker.clone())]);
    let outer = pool([Member::new("outer", inner.clone())]);
    let workers: [Arc<dyn ModelWorker>; 4] = [
        Arc::new(inner.clone()),
        Arc::new(outer),
        Arc::new(Retry::new(Breaker::new(inner))),
        Arc::new(
            Pool::builder("of a plain one").member(Member::new("a", worker.clone())).build().expect("it is whole"),
        ),
    ];
    for (number, called) in workers.into_iter().enumerate() {
        let pipeline = by_a_stage(called, 1);
        let answers = join_all((0..3).map(async |_| pipeline.submit(PromptRequest::new("?")).await?.output().await));
        let answers = tokio::time::timeout(Duration::from_secs(60), answers).await;
        for answer in answers.unwrap_or_else(|_| panic!("worker {number} hangs")) {
            answer.expect("answered");
        }
    }
    assert_eq!((worker.stats().most_live, server.free()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_call_of_a_stage_has_a_slot_of_its_own() {
    let server = slots(1);
    let twice = by_a_stage(Arc::new(pool([Member::new("a", slow(&server))])), 2);
    let answer = twice.submit(PromptRequest::new("?")).await.expect("let in").output().await;
    assert_eq!((answer.expect("answered").as_str(), server.free()), ("aa", 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_behind_a_breaker_is_made_where_a_stage_took_the_only_slot() {
    let server = slots(1);
    let is_second = AtomicBool::new(false);
    let worker = MockWorker::with(move |_| match is_second.swap(true, Ordering::SeqCst) {
        false => Script::new().fail(WorkerError::new(WorkerErrorKind::Transient, "no")),
        true => Script::answering("x"),
    });
    let retry = Arc::new(Retry::new(Breaker::new(worker.slots(server.clone()))));
    let config = StageConfig::new().slots(retry.slots().expect("it has some"));
    let step = move |cx: Context, prompt: PromptRequest| {
        let retry = retry.clone();
        async move { crate::common::finish(&retry, InferenceRequest::new(prompt, cx)).await }
    };
    let pipeline = Pipeline::builder("test").then_with("calls", config, step).build().expect("it is whole");
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    let answer = tokio::time::timeout(Duration::from_secs(60), answer.output()).await;
    answer.expect("it does not hang").expect("answered");
    assert_eq!(server.free(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_members_of_one_server_offer_its_slots_once() {
    let server = slots(2);
    let shared =
        pool([Member::new("a", slow(&server)), Member::new("b", slow(&server)), Member::new("c", slow(&slots(1)))]);
    let all = shared.slots().expect("it has some");
    assert_eq!((all.total(), all.free()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_door_before_members_that_are_all_drained_does_not_say_when_to_come_back() {
    let drained = pool([Member::new("a", slow(&slots(1)))]);
    drained.drain("a").await.expect("it is there");
    let config = StageConfig::new().shed(ShedPolicy::Predictive);
    let pipeline: Pipeline<PromptRequest, Tokens> = Pipeline::builder("test")
        .stage_with(InferenceStage::new(drained.clone()), config)
        .stage(StreamStage::default())
        .build()
        .expect("it is whole");
    let refused = pipeline.submit(PromptRequest::new("?")).await.expect_err("nobody takes it");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Unavailable));
    assert_eq!(refused.retry_after(), None);
    drained.resume("a").expect("it is there");
    assert_eq!(ask(&pipeline).await.expect("answered"), "x");
}
