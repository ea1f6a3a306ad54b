use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;

use crate::TestResult;
use crate::common::{Gate, gated, soon, until};
use crate::task::{ask, here, running, session_on, waiting, whereabouts};

#[tokio::test]
async fn a_session_runs_on_its_home_shard_from_wherever_it_is_submitted() -> TestResult {
    let shards = running(Shards::of(3));
    let mut used = [false; 3];
    for n in 0..32 {
        let session = format!("session-{n}");
        let home = shards.shard_of(&session) as u64;
        used[home as usize] = true;
        assert_eq!(ask(&shards, whereabouts().of(&session)).await?, home);
        let mine = shards.clone();
        let from = session_on(&shards, (home as usize + 1) % 3);
        let asked = session.clone();
        let spawned = shards.spawn_on(from, async move { ask(&mine, whereabouts().of(&asked)).await });
        assert_eq!(spawned.await??, home);
        assert_eq!(shards.spawn_on(&session, async { here().ok() }).await?, Some(home));
    }
    assert_eq!(used, [true; 3]);
    Ok(())
}

#[tokio::test]
async fn there_can_be_a_task_on_each_shard() -> TestResult {
    let shards = running(Shards::of(3));
    for (shard, task) in shards.spawn_on_each(async |shard| (shard as u64, here().ok())).into_iter().enumerate() {
        assert_eq!(task.await?, (shard as u64, Some(shard as u64)));
    }
    Ok(())
}

#[tokio::test]
async fn without_a_session_a_task_stays_on_its_shard() -> TestResult {
    let shards = running(Shards::of(3));
    for shard in 0..3 {
        let mine = shards.clone();
        let spawned = shards.spawn_on(session_on(&shards, shard), async move { ask(&mine, whereabouts()).await });
        assert_eq!(spawned.await??, shard as u64);
    }
    Ok(())
}

#[tokio::test]
async fn on_the_shard_of_another_set_a_task_is_a_stranger() -> TestResult {
    let (shards, others) = (running(Shards::of(2)), running(Shards::of(2)));
    // Busy, so that whoever comes from elsewhere is given the other one.
    let gate = Gate::shut();
    let _held = shards.submit(waiting(&gate).of(&session_on(&shards, 1))).await?;
    let mine = shards.clone();
    let spawned = others.spawn_on(session_on(&others, 1), async move { ask(&mine, whereabouts()).await });
    assert_eq!(spawned.await??, 0);
    gate.open();
    Ok(())
}

/// Submits so many requests, all of which wait, of sessions at home on shard 0; tells how many are inside of each shard.
async fn inside_of_each(shards: ShardsBuilder, requests: usize) -> Result<[u64; 2], BoxError> {
    let shards = running(shards);
    let gate = Gate::shut();
    let session = session_on(&shards, 0);
    let mut held = Vec::new();
    for _ in 0..requests {
        held.push(shards.submit(waiting(&gate).of(&session)).await?);
    }
    let each = shards.stats_per_shard();
    gate.open();
    for mut answer in held {
        soon(answer.output()).await?;
    }
    Ok([each[0].in_flight, each[1].in_flight])
}

#[tokio::test]
async fn an_overloaded_shard_spills_over_to_the_next_and_only_then() -> TestResult {
    let spilling = || Shards::of(2).spill_over(1.25);
    // Below 33 a shard is not overloaded, however idle the others are.
    assert_eq!(inside_of_each(spilling(), 33).await?, [33, 0]);
    assert_eq!(inside_of_each(spilling(), 34).await?, [33, 1]);
    // From then on the home has a quarter more than the mean.
    assert_eq!(inside_of_each(spilling(), 160).await?, [100, 60]);
    // No more than twice the mean of two: that is all of them.
    assert_eq!(inside_of_each(Shards::of(2).spill_over(2.0), 160).await?, [160, 0]);
    assert_eq!(inside_of_each(Shards::of(2), 160).await?, [160, 0]);
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_session_goes_where_the_fewest_are_inside() -> TestResult {
    let shards = running(Shards::of(3));
    let gate = Gate::shut();
    let mut held = Vec::new();
    for shard in [0, 2] {
        held.push(shards.submit(waiting(&gate).of(&session_on(&shards, shard))).await?);
    }
    assert_eq!(ask(&shards, whereabouts()).await?, 1);
    gate.open();
    Ok(())
}

#[tokio::test]
async fn try_submit_refuses_where_the_home_shard_has_no_room() -> TestResult {
    let gate = Gate::shut();
    let at_gate = gate.clone();
    let one = StageConfig::new().depth(1).concurrency(1);
    let stage = move |_| gated(Pipeline::builder("narrow"), "wait", one.clone(), &at_gate).build();
    let shards: Shards<u64, u64> = Shards::of(2).build(stage)?;
    // From the shard itself, so that it sees what is in its hands: numbers carry no session.
    let mine = shards.clone();
    let spawned = shards.spawn_on(session_on(&shards, 1), async move {
        let running = mine.try_submit(1)?;
        until("the first runs", || mine.stats().stages[0].depth == 0).await;
        let queued = mine.try_submit(2)?;
        let refused = mine.try_submit(3).expect_err("no room");
        Ok::<_, Error>((running, queued, refused.kind()))
    });
    let (mut running, mut queued, kind) = spawned.await??;
    assert_eq!(kind, ErrorKind::Refused(RefuseReason::QueueFull));
    gate.open();
    assert_eq!((running.output().await?, queued.output().await?), (1, 2));
    let per_shard = shards.stats_per_shard();
    assert_eq!((per_shard[0].accepted, per_shard[1].accepted), (0, 2));
    assert_eq!((per_shard[1].refused, per_shard[1].withdrawn), (1, 0));
    assert!(per_shard[1].refused_by_reason.contains(&(RefuseReason::QueueFull, 1)));
    Ok(())
}
