//! That nothing is left in a ledger, whatever becomes of requests: with whole pipelines around it.

use std::future::pending;
use std::num::NonZeroUsize;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::error::{BoxError, Error, ErrorKind, RefuseReason, ShedReason};
use crate::pipeline::Pipeline;
use crate::request::{Input, Priority, RequestOptions};
use crate::stage::{CoDel, ShedPolicy, StageConfig};
use crate::worker::Slots;

const MS: Duration = Duration::from_millis(1);

/// What a request does in the stages.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Serve,
    Fail,
    Panic,
    Hang,
    HangBefore,
}

impl Input for Fate {}

async fn before(fate: Fate) -> Result<Fate, BoxError> {
    if fate == Fate::HangBefore {
        pending::<()>().await;
    }
    Ok(fate)
}

async fn work(fate: Fate) -> Result<Fate, BoxError> {
    match fate {
        Fate::Fail => return Err("expected".into()),
        Fate::Panic => panic!("expected"),
        Fate::Hang => pending().await,
        Fate::Serve | Fate::HangBefore => sleep(MS).await,
    }
    Ok(fate)
}

fn slots(count: usize) -> Slots {
    Slots::new(NonZeroUsize::new(count).expect("not zero"))
}

/// One stage that takes slots.
fn alone(slots: &Slots, config: StageConfig) -> Pipeline<Fate, Fate> {
    let config = config.slots(slots.clone());
    Pipeline::builder("alone").then_with("work", config, |_cx, fate| work(fate)).build().expect("the plan is sound")
}

/// The same behind a stage that takes none.
fn behind(slots: &Slots, policy: ShedPolicy, config: StageConfig) -> Pipeline<Fate, Fate> {
    Pipeline::builder("behind")
        .then_with("before", StageConfig::new().shed(policy), |_cx, fate| before(fate))
        .then_with("work", config.slots(slots.clone()), |_cx, fate| work(fate))
        .build()
        .expect("the plan is sound")
}

fn backpressure() -> StageConfig {
    StageConfig::new().shed(ShedPolicy::Backpressure)
}

fn is_blank(slots: &Slots) -> bool {
    let ledger = slots.book().lock();
    assert!(ledger.is_sound());
    ledger.is_blank()
}

async fn settle() {
    for _ in 0..64 {
        yield_now().await;
    }
}

/// Lets others run until nothing is booked and every slot is free.
async fn until_blank(slots: &Slots) {
    for _ in 0..1_000 {
        if is_blank(slots) && slots.free() == slots.total() {
            return;
        }
        yield_now().await;
    }
    panic!("something is left: {slots:?}, {:?}", slots.book().lock());
}

async fn inside(pipeline: &Pipeline<Fate, Fate>, fate: Fate) -> Answer<Fate> {
    let answer = pipeline.submit(fate).await.expect("it is let in");
    settle().await;
    answer
}

async fn ended(mut answer: Answer<Fate>) -> ErrorKind {
    answer.output().await.expect_err("it is not served").kind()
}

#[tokio::test(start_paused = true)]
async fn after_requests_that_are_cancelled_wherever_they_are() {
    let slots = slots(1);
    let pipeline = behind(&slots, ShedPolicy::Predictive, StageConfig::new());
    drop(pipeline.submit(Fate::Serve).await.expect("it is let in"));
    until_blank(&slots).await;
    let on_its_way = inside(&pipeline, Fate::HangBefore).await;
    assert!(!is_blank(&slots), "it is booked from the door on");
    drop(on_its_way);
    until_blank(&slots).await;
    let running = inside(&pipeline, Fate::Hang).await;
    let waiting = inside(&pipeline, Fate::Serve).await;
    assert_eq!((slots.free(), is_blank(&slots)), (0, false));
    drop(running);
    settle().await;
    assert!(!is_blank(&slots), "the other has the slot");
    drop(waiting);
    until_blank(&slots).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_caller_who_leaves_while_it_waits_at_the_door() {
    let slots = slots(1);
    let pipeline = alone(&slots, backpressure().depth(1));
    let inside = [inside(&pipeline, Fate::Hang).await, inside(&pipeline, Fate::Serve).await];
    assert!(pipeline.submit(Fate::Serve).now_or_never().is_none(), "the queue is full");
    drop(inside);
    until_blank(&slots).await;
    assert_eq!(pipeline.stats().withdrawn, 1);
}

#[tokio::test(start_paused = true)]
async fn after_requests_that_end_in_any_way_wherever_the_stage_runs() {
    for config in [backpressure(), backpressure().spawned(), backpressure().ordered()] {
        let slots = slots(2);
        let pipeline = alone(&slots, config.timeout(50 * MS));
        for fate in [Fate::Serve, Fate::Fail, Fate::Panic, Fate::Hang] {
            let mut answer = pipeline.submit(fate).await.expect("it is let in");
            assert_eq!(answer.output().await.is_ok(), fate == Fate::Serve);
            until_blank(&slots).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_requests_that_run_out_of_time_in_the_queue() {
    let slots = slots(1);
    let pipeline = alone(&slots, backpressure().max_wait(100 * MS));
    let running = inside(&pipeline, Fate::Hang).await;
    let hurried = RequestOptions::new().within(50 * MS);
    let hurried = pipeline.submit_with(Fate::Serve, hurried).await.expect("it is let in");
    let patient = inside(&pipeline, Fate::Serve).await;
    assert_eq!(ended(hurried).await, ErrorKind::Shed(ShedReason::Deadline));
    assert_eq!(ended(patient).await, ErrorKind::Shed(ShedReason::Waited));
    drop(running);
    until_blank(&slots).await;
}

#[tokio::test(start_paused = true)]
async fn after_requests_that_find_no_room_or_make_some() {
    let slots = slots(1);
    let pipeline = alone(&slots, StageConfig::new().shed(ShedPolicy::DropOldest).depth(1));
    let running = inside(&pipeline, Fate::Hang).await;
    let evicted = inside(&pipeline, Fate::Serve).await;
    let urgent = RequestOptions::new().priority(Priority::High);
    let urgent = pipeline.submit_with(Fate::Serve, urgent).await.expect("it is let in");
    assert_eq!(ended(evicted).await, ErrorKind::Shed(ShedReason::Evicted));
    let refused = pipeline.submit(Fate::Serve).await.expect_err("what waits is of a higher class");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::QueueFull));
    drop((running, urgent));
    until_blank(&slots).await;
}

#[tokio::test(start_paused = true)]
async fn of_the_first_slots_when_the_second_are_refused() {
    let (first, second) = (slots(1), slots(1));
    let config = |slots: &Slots| StageConfig::new().slots(slots.clone());
    let pipeline = Pipeline::builder("two")
        .then_with("first", config(&first), |_cx, fate| work(fate))
        .then_with("second", config(&second), |_cx, fate| work(fate))
        .build()
        .expect("the plan is sound");
    let others = alone(&second, backpressure());
    let mut ahead = Vec::new();
    for _ in 0..8 {
        ahead.push(inside(&others, Fate::Hang).await);
    }
    let refused: Error = pipeline.submit(Fate::Serve).await.expect_err("eight are ahead");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Overloaded));
    assert!(is_blank(&first) && !is_blank(&second));
    drop(ahead);
    until_blank(&second).await;
    let mut served = pipeline.submit(Fate::Serve).await.expect("nobody is ahead");
    assert!(!is_blank(&first) && !is_blank(&second), "it is booked at both");
    assert_eq!(served.output().await.expect("it is served"), Fate::Serve);
    until_blank(&first).await;
    until_blank(&second).await;
}

#[tokio::test(start_paused = true)]
async fn after_slots_that_change_and_a_drain_that_cancels() {
    let slots = slots(4);
    let pipeline = behind(&slots, ShedPolicy::Backpressure, StageConfig::new());
    let mut answers = Vec::new();
    for fate in [Fate::Hang, Fate::HangBefore].repeat(6) {
        answers.push(inside(&pipeline, fate).await);
    }
    assert_eq!(slots.free(), 0);
    slots.resize(NonZeroUsize::MIN);
    answers.drain(..4);
    settle().await;
    slots.resize(NonZeroUsize::new(3).expect("not zero"));
    settle().await;
    assert!(!is_blank(&slots));
    pipeline.drain(MS).await;
    assert!(is_blank(&slots));
    assert_eq!(slots.free(), 3);
}

#[test]
fn after_a_runtime_that_is_dropped() {
    let slots = slots(1);
    let pipeline = behind(&slots, ShedPolicy::Backpressure, StageConfig::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers = runtime.block_on(async {
        [
            inside(&pipeline, Fate::Hang).await,
            inside(&pipeline, Fate::Serve).await,
            inside(&pipeline, Fate::HangBefore).await,
            pipeline.submit(Fate::Serve).await.expect("it is let in"),
        ]
    });
    assert!(!is_blank(&slots));
    drop(runtime);
    drop((answers, pipeline));
    assert!(is_blank(&slots));
    assert_eq!(slots.free(), 1);
}

/// Submits with options of all kinds, and leaves at any time.
async fn caller(pipeline: Pipeline<Fate, Fate>, seed: u64) -> u32 {
    let mut rng = Rng::with_seed(seed);
    let mut served = 0;
    for _ in 0..100 {
        let fate = [Fate::Serve, Fate::Serve, Fate::Fail, Fate::Panic, Fate::Hang, Fate::HangBefore][rng.usize(0..6)];
        let class = [Priority::High, Priority::Normal, Priority::Low][rng.usize(0..3)];
        let options = RequestOptions::new().priority(class).tenant(["a", "b", "c"][rng.usize(0..3)]);
        let Ok(mut answer) = pipeline.submit_with(fate, options.within(rng.u32(1..40) * MS)).await else { continue };
        if rng.bool() {
            served += u32::from(answer.output().await.is_ok());
        }
    }
    served
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_many_requests_on_many_threads() {
    let codel = ShedPolicy::CoDel(CoDel::new(MS, 4 * MS));
    for policy in [ShedPolicy::Predictive, ShedPolicy::Backpressure, ShedPolicy::DropOldest, codel] {
        let slots = slots(3);
        let config = || StageConfig::new().depth(4).max_wait(20 * MS).timeout(5 * MS).expected(5 * MS);
        let pair = [behind(&slots, policy, config()), alone(&slots, config().shed(policy).spawned())];
        let callers: Vec<_> = (0..8).map(|seed| tokio::spawn(caller(pair[seed as usize % 2].clone(), seed))).collect();
        let mut served = 0;
        for (number, caller) in callers.into_iter().enumerate() {
            served += caller.await.expect("callers do not panic");
            slots.resize(NonZeroUsize::new(number % 3 + 1).expect("not zero"));
        }
        for pipeline in &pair {
            pipeline.drain(MS).await;
        }
        assert!(served > 0, "{policy:?}");
        assert!(is_blank(&slots), "{policy:?}: {:?}", slots.book().lock());
        assert_eq!(slots.free(), slots.total(), "{policy:?}");
    }
}
