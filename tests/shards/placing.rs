use std::sync::Arc;

use prompt_orchestrator::prelude::*;

use crate::TestResult;
use crate::common::{Gate, soon};
use crate::task::{ask, here, running, session_on, task, whereabouts};

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
    let at_gate = gate.clone();
    let busy = task(move |_cx| async move {
        at_gate.pass().await;
        Ok(0)
    });
    let _held = shards.submit(busy.of(&session_on(&shards, 1))).await?;
    let mine = shards.clone();
    let spawned = others.spawn_on(session_on(&others, 1), async move { ask(&mine, whereabouts()).await });
    assert_eq!(spawned.await??, 0);
    gate.open();
    Ok(())
}

/// Fills shard 0 of two with `inside` requests that wait, and tells where the next request of its sessions runs.
async fn next_beside(inside: usize, shards: &Shards<crate::task::Task, u64>) -> Result<u64, BoxError> {
    let gate = Gate::shut();
    let session = session_on(shards, 0);
    let mut held = Vec::new();
    for _ in 0..inside {
        let gate = gate.clone();
        let waiting = task(move |_cx| async move {
            gate.pass().await;
            Ok(here()?)
        });
        held.push(shards.submit(waiting.of(&session)).await?);
    }
    let mut next = shards.submit(whereabouts().of(&session)).await?;
    gate.open();
    for mut answer in held {
        soon(answer.output()).await?;
    }
    Ok(next.output().await?)
}

#[tokio::test]
async fn an_overloaded_shard_spills_over_to_the_next_and_only_then() -> TestResult {
    let shards = running(Shards::of(2).spill_over(1.25));
    // Up to 32 a shard is not overloaded, however idle the others are.
    assert_eq!(next_beside(32, &shards).await?, 0);
    assert_eq!(next_beside(33, &shards).await?, 1);
    let at_home = running(Shards::of(2));
    assert_eq!(next_beside(33, &at_home).await?, 0);
    // With as many inside as twice the mean of two can be, nothing is too much.
    let patient = running(Shards::of(2).spill_over(2.0));
    assert_eq!(next_beside(100, &patient).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_session_goes_where_the_fewest_are_inside() -> TestResult {
    let shards = running(Shards::of(3));
    let gate = Gate::shut();
    let mut held = Vec::new();
    for shard in [0, 2] {
        let gate = gate.clone();
        let waiting = task(move |_cx| async move {
            gate.pass().await;
            Ok(0)
        });
        held.push(shards.submit(waiting.of(&session_on(&shards, shard))).await?);
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
    let shards = Shards::of(2).build(move |_| {
        let gate = at_gate.clone();
        let wait = move |_cx, number: u64| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, BoxError>(number)
            }
        };
        Pipeline::builder("narrow").then_with("wait", one.clone(), wait).build()
    })?;
    // From the shard itself, so that it sees what is in its hands: numbers carry no session.
    let mine = shards.clone();
    let spawned = shards.spawn_on(session_on(&shards, 1), async move {
        let running = mine.try_submit(1)?;
        crate::common::until("the first runs", || mine.stats().stages[0].depth == 0).await;
        let queued = mine.try_submit(2)?;
        let refused = mine.try_submit(3).expect_err("no room");
        Ok::<_, Error>((running, queued, refused.kind()))
    });
    let (mut running, mut queued, kind) = spawned.await??;
    assert_eq!(kind, ErrorKind::Refused(prompt_orchestrator::error::RefuseReason::QueueFull));
    gate.open();
    assert_eq!((running.output().await?, queued.output().await?), (1, 2));
    let per_shard = shards.stats_per_shard();
    assert_eq!((per_shard[0].accepted, per_shard[1].accepted), (0, 2));
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_shard_is_pinned_to_one_core_and_what_it_offloads_is_not() -> TestResult {
    fn cores() -> u64 {
        std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64)
    }
    let shards = running(Shards::of(2));
    assert_eq!(ask(&shards, task(async |_cx| Ok(cores()))).await?, 1);
    assert_eq!(ask(&shards, task(async |cx: Context| Ok(cx.offload(cores).await?))).await?, cores());
    // And not all on one.
    let affinity = || std::fs::read_to_string("/proc/thread-self/status").map(Arc::<str>::from);
    let of = async |shard| {
        let status = shards.spawn_on(session_on(&shards, shard), async move { affinity() }).await??;
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list")).ok_or("no such line")?;
        Ok::<_, BoxError>(line.to_owned())
    };
    assert_eq!(of(0).await? == of(1).await?, cores() == 1);
    Ok(())
}
