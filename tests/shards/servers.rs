//! Pipelines on shards around one model server: its slots hold for all of them together, and its tokens reach callers
//! anywhere.

use std::time::Duration;

use futures_util::FutureExt;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::TestResult;
use crate::common::{
    Gate, assert_balanced, both_deliveries, gated, patient, poll_once, slots, soon, streaming, until_on_threads,
};
use crate::task::session_on;

const LONG: Duration = Duration::from_secs(60);

/// Two shards whose one stage takes one of two slots and waits at the gate.
fn at_two_slots(gate: &Gate, config: StageConfig) -> Shards<u64, u64> {
    let (gate, config) = (gate.clone(), config.slots(slots(2)));
    let shards = Shards::of(2).build(move |_| gated(Pipeline::builder("slots"), "work", config.clone(), &gate).build());
    shards.expect("the plan is sound")
}

fn on(shards: &Shards<u64, u64>, shard: usize) -> RequestOptions {
    RequestOptions::new().session(session_on(shards, shard))
}

#[tokio::test]
async fn two_shards_around_two_slots_never_run_three_at_once() -> TestResult {
    let gate = Gate::shut();
    let shards = at_two_slots(&gate, patient());
    let mut answers = Vec::new();
    for number in 0..40 {
        answers.push(shards.submit_with(number, on(&shards, number as usize % 2)).await?);
    }
    for done in 1..=40 {
        until_on_threads("the slots are used", || gate.inside() == 2.min(41 - done));
        gate.let_through(1);
        until_on_threads("one is through", || shards.stats().answered == done as u64);
    }
    for (answer, number) in answers.iter_mut().zip(0..) {
        assert_eq!(answer.output().await?, number);
    }
    assert_eq!((gate.entered(), gate.most_inside()), (40, 2));
    let each = shards.stats_per_shard();
    assert_eq!((each[0].answered, each[1].answered), (20, 20));
    assert_balanced(&shards.stats());
    Ok(())
}

#[tokio::test]
async fn the_door_of_a_shard_refuses_for_the_work_of_another() -> TestResult {
    let gate = Gate::shut();
    let shards = at_two_slots(&gate, StageConfig::new().expected(LONG));
    let mut ahead = Vec::new();
    for number in 0..2 {
        ahead.push(shards.submit_with(number, on(&shards, 0)).await?);
    }
    until_on_threads("both slots are taken", || gate.inside() == 2);
    // How many more are let in depends on what is thought of the two that run.
    while let Ok(answer) = shards.submit_with(2, on(&shards, 0)).await {
        ahead.push(answer);
        assert!(ahead.len() < 8, "each takes a minute");
    }
    let error = shards.submit_with(3, on(&shards, 1)).await.expect_err("minutes are too long");
    assert_eq!(error.kind(), ErrorKind::Refused(RefuseReason::Overloaded));
    let each = shards.stats_per_shard();
    assert_eq!((each[1].accepted, each[1].refused), (0, 1));
    ahead.clear();
    gate.open();
    let mut next = None;
    until_on_threads("what was cancelled is not ahead any more", || {
        let options = on(&shards, 1).admit_now();
        next = shards.submit_with(4, options).now_or_never().and_then(Result::ok);
        next.is_some()
    });
    assert_eq!(next.ok_or("let in")?.output().await?, 4);
    Ok(())
}

/// Two shards that ask the same worker and stream what it says.
fn asking(worker: &MockWorker, stream: &StreamStage) -> Shards<PromptRequest, Tokens> {
    let (worker, stream) = (worker.clone(), stream.clone());
    Shards::of(2).build(move |_| streaming(worker.clone(), stream.clone())).expect("the plan is sound")
}

#[tokio::test]
async fn tokens_reach_a_caller_elsewhere_and_one_at_home() -> TestResult {
    for (delivery, stream) in both_deliveries() {
        let worker = MockWorker::new(Script::new().yields().streaming().text("to ").yields().text("be").finish());
        let shards = asking(&worker, &stream);
        for shard in 0..2 {
            let session = session_on(&shards, shard);
            let options = RequestOptions::new().session(session.as_str());
            let mut answer = shards.submit_with("?".into(), options.clone()).await?;
            assert_eq!(answer.text().await?, "to be", "{delivery}");
            let mine = shards.clone();
            let at_home = async move { mine.submit_with("?".into(), options).await?.text().await };
            assert_eq!(shards.spawn_on(session, at_home).await??, "to be", "{delivery}");
            assert_eq!(shards.stats_per_shard()[shard].answered, 2, "{delivery}");
        }
        assert_eq!((worker.stats().finished, worker.stats().live), (4, 0), "{delivery}");
    }
    Ok(())
}

#[tokio::test]
async fn a_drain_lets_streams_finish() -> TestResult {
    for (delivery, stream) in both_deliveries() {
        // More than lies in a buffer, so that it is the reader who decides when it ends.
        let worker = MockWorker::new(Script::tokens(64));
        let shards = asking(&worker, &stream);
        let mut answers = Vec::new();
        for shard in 0..2 {
            let options = RequestOptions::new().session(session_on(&shards, shard));
            let mut answer = shards.submit_with("?".into(), options).await?;
            answer.next().await.ok_or("no token")??;
            answers.push(answer);
        }
        let mut drain = Box::pin(shards.drain(LONG));
        assert!(poll_once(&mut drain).await.is_none(), "{delivery}");
        let reader = async {
            for answer in &mut answers {
                assert_eq!(answer.text().await?, "t ".repeat(63), "{delivery}");
            }
            Ok::<_, Error>(())
        };
        let (report, read) = soon(futures_util::future::join(drain, reader)).await;
        read?;
        assert_eq!((report.finished, report.cancelled), (2, 0), "{delivery}");
        assert_balanced(&shards.stats());
    }
    Ok(())
}

#[tokio::test]
async fn a_drain_cancels_streams_at_its_limit() -> TestResult {
    for (delivery, stream) in both_deliveries() {
        let worker = MockWorker::new(Script::new().streaming().text("well").hang());
        let shards = asking(&worker, &stream);
        let mut answer = shards.submit("?".into()).await?;
        answer.next().await.ok_or("no token")??;
        let report = soon(shards.drain(Duration::from_millis(20))).await;
        assert_eq!((report.finished, report.cancelled), (0, 1), "{delivery}");
        assert!(answer.text().await.expect_err("cut").is_cancelled(), "{delivery}");
        assert_eq!((worker.stats().cancelled, worker.stats().live), (1, 0), "{delivery}");
        assert_balanced(&shards.stats());
    }
    Ok(())
}
