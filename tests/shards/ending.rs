use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;

use crate::TestResult;
use crate::common::{Gate, assert_balanced, settle, until_on_threads};
use crate::task::{ask, here, running, session_on, task, whereabouts};

/// Lives as long as one of the threads does.
type Alive = Arc<()>;

thread_local! {
    static ON_THREAD: RefCell<Option<Alive>> = const { RefCell::new(None) };
}

/// Two shards whose one stage lets requests through at a gate.
fn gated(gate: &Gate) -> (Shards<u64, u64>, Alive) {
    let alive = Alive::default();
    let (gate, held) = (gate.clone(), alive.clone());
    let shards = Shards::of(2).build(move |_| {
        ON_THREAD.set(Some(held.clone()));
        let gate = gate.clone();
        Pipeline::builder("gated")
            .then("wait", move |_cx, number: u64| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok::<_, BoxError>(number)
                }
            })
            .build()
    });
    (shards.expect("the plan is sound"), alive)
}

fn gone(alive: &Alive) -> bool {
    Arc::strong_count(alive) == 1
}

fn of(session: &str) -> RequestOptions {
    RequestOptions::new().session(session)
}

#[tokio::test]
async fn a_drain_finishes_what_is_inside_of_all_shards_and_ends_their_threads() -> TestResult {
    let gate = Gate::shut();
    let (shards, alive) = gated(&gate);
    let mut answers = Vec::new();
    for shard in [0, 0, 1] {
        answers.push(shards.submit_with(7, of(&session_on(&shards, shard))).await?);
    }
    let mine = shards.clone();
    let drain = tokio::spawn(async move { mine.drain(Duration::from_secs(60)).await });
    until_refused(&shards).await;
    gate.open();
    for answer in &mut answers {
        assert_eq!(answer.output().await?, 7);
    }
    let report = drain.await?;
    assert_eq!((report.finished, report.cancelled), (3, 0));
    until_on_threads("the threads have ended", || gone(&alive));
    assert_balanced(&shards.stats());
    let late = shards.spawn_on("any", async { 7 });
    assert!(late.await.expect_err("nobody runs it").is_cancelled());
    assert_eq!(shards.drain(Duration::ZERO).await.finished, 0);
    Ok(())
}

/// Waits until the shards have been closed.
async fn until_refused(shards: &Shards<u64, u64>) {
    let refused = || async {
        let error = shards.submit_with(0, RequestOptions::new().within(Duration::ZERO)).await.expect_err("too late");
        error.kind() == ErrorKind::Refused(RefuseReason::Draining)
    };
    while !refused().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drain_cancels_after_its_limit_what_is_left_requests_and_tasks() -> TestResult {
    let gate = Gate::shut();
    let (shards, alive) = gated(&gate);
    let mut stuck = shards.submit_with(7, of(&session_on(&shards, 1))).await?;
    let task = shards.spawn_on(session_on(&shards, 0), std::future::pending::<()>());
    let drain = shards.drain(Duration::from_millis(20));
    let report = tokio::time::timeout(Duration::from_secs(20), drain).await.expect("it keeps its limit");
    assert_eq!((report.finished, report.cancelled), (0, 1));
    assert!(stuck.output().await.expect_err("cancelled").is_cancelled());
    assert!(task.await.expect_err("cancelled").is_cancelled());
    until_on_threads("the threads have ended", || gone(&alive));
    Ok(())
}

#[tokio::test]
async fn a_drain_waits_for_tasks_that_end() -> TestResult {
    let (shards, _) = gated(&Gate::shut());
    let (sender, receiver) = tokio::sync::oneshot::channel::<u64>();
    let task = shards.spawn_on("anna", receiver);
    let mine = shards.clone();
    let drain = tokio::spawn(async move { mine.drain(Duration::from_secs(60)).await });
    until_refused(&shards).await;
    assert!(!task.is_finished());
    sender.send(7).expect("it listens");
    assert_eq!(task.await??, 7);
    drain.await?;
    Ok(())
}

#[tokio::test]
async fn a_drain_waits_for_tasks_that_were_spawned_during_it() -> TestResult {
    let gate = Gate::shut();
    let (shards, _) = gated(&gate);
    let home = session_on(&shards, 1);
    let mut inside = shards.submit_with(7, of(&home)).await?;
    let mine = shards.clone();
    let drain = tokio::spawn(async move { mine.drain(Duration::from_secs(60)).await });
    until_refused(&shards).await;
    // By then the shard knows of the drain, and has no task.
    shards.spawn_on(&home, settle()).await?;
    let (sender, receiver) = tokio::sync::oneshot::channel::<u64>();
    let mine = shards.clone();
    let task = shards.spawn_on(home.clone(), async move {
        let told = receiver.await;
        // Longer than the shard takes to see that no request is left.
        settle().await;
        // And another one from it, which outlives it.
        let next = mine.spawn_on(home, settle());
        (told, next)
    });
    gate.open();
    assert_eq!(inside.output().await?, 7);
    sender.send(8).expect("it listens");
    let (told, next) = task.await?;
    assert_eq!(told?, 8);
    next.await?;
    let report = drain.await?;
    assert_eq!((report.finished, report.cancelled), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_drain_from_one_of_the_shards_is_a_callers_bug() -> TestResult {
    let shards = running(Shards::of(2));
    let mine = shards.clone();
    let drain = shards.spawn_on("anna", async move { mine.drain(Duration::ZERO).await });
    assert!(drain.await.expect_err("it would wait for itself").is_panic());
    // Nothing was closed by it.
    assert_eq!(ask(&shards, whereabouts().of("anna")).await?, shards.shard_of("anna") as u64);
    Ok(())
}

#[tokio::test]
async fn dropping_the_last_handle_waits_for_nobody_and_the_threads_end_with_what_is_inside() -> TestResult {
    let gate = Gate::shut();
    let (shards, alive) = gated(&gate);
    let (first, second) = (session_on(&shards, 0), session_on(&shards, 1));
    let mut inside = shards.submit_with(7, of(&first)).await?;
    let (sender, receiver) = tokio::sync::oneshot::channel::<u64>();
    let task = shards.spawn_on(second, receiver);
    // On this thread nothing else can happen meanwhile: this would be the end of the test if it waited.
    drop(shards);
    assert!(!gone(&alive));
    gate.open();
    assert_eq!(inside.output().await?, 7);
    assert!(!gone(&alive) && !task.is_finished());
    sender.send(7).expect("it listens");
    assert_eq!(task.await??, 7);
    until_on_threads("the threads have ended", || gone(&alive));
    Ok(())
}

#[tokio::test]
async fn the_last_handle_may_go_with_a_task_on_a_shard() -> TestResult {
    let gate = Gate::shut();
    gate.open();
    let (shards, alive) = gated(&gate);
    let (last, home) = (shards.clone(), session_on(&shards, 1));
    let asked = home.clone();
    let task = shards.spawn_on(&home, async move {
        let output = last.submit_with(7, of(&asked)).await?.output().await;
        drop(last);
        output
    });
    drop(shards);
    assert_eq!(task.await??, 7);
    until_on_threads("the threads have ended", || gone(&alive));
    Ok(())
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_request_or_task_and_never_of_the_shard() -> TestResult {
    let shards = running(Shards::of(2));
    let session = session_on(&shards, 1);
    let error = ask(&shards, task(async |_cx| panic!("in a stage")).of(&session)).await.expect_err("panicked");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    let spawned = shards.spawn_on(&session, async { panic!("in a task") });
    assert!(spawned.await.expect_err("panicked").is_panic());
    assert_eq!(ask(&shards, whereabouts().of(&session)).await?, 1);
    assert_eq!(shards.spawn_on(&session, async { here().ok() }).await?, Some(1));
    assert_eq!(shards.stats().panics, 1);
    Ok(())
}
