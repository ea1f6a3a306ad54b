//! Which sessions keep their state, and for how long. On one shard whose clock is paused, from a task that lives there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use tokio::time::advance;

use crate::TestResult;
use crate::common::{Gate, settle};
use crate::task::{Task, ask, running, task, waiting};

const IDLE: Duration = Duration::from_secs(10);

type Keeping = Shards<Task, u64>;

/// Runs `story` on the one shard, on a paused clock.
async fn on_the_shard<F>(limits: SessionState, story: impl FnOnce(Keeping) -> F) -> TestResult
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let shards = running(Shards::of(1).session_state(limits.idle(IDLE)));
    let story = story(shards.clone());
    let told = shards.spawn_on("any", async move {
        tokio::time::pause();
        story.await
    });
    told.await?
}

/// Counts up what the session keeps.
async fn count(shards: &Keeping, session: &str) -> Result<u64, Error> {
    let counting = task(async |cx: Context| {
        Ok(cx.session_state(|turns: &mut u64| {
            *turns += 1;
            *turns
        })?)
    });
    ask(shards, counting.of(session)).await
}

/// Moves the clock on and lets the shard sweep. Timers come up to a millisecond late.
async fn pass(time: Duration) {
    advance(time).await;
    settle().await;
}

#[tokio::test]
async fn a_session_is_forgotten_when_it_has_been_idle_for_long_enough() -> TestResult {
    on_the_shard(SessionState::new(), async |shards| {
        assert_eq!((count(&shards, "anna").await?, count(&shards, "bela").await?), (1, 1));
        pass(IDLE - Duration::from_millis(1)).await;
        assert_eq!(count(&shards, "anna").await?, 2);
        pass(Duration::from_millis(2)).await;
        assert_eq!((count(&shards, "anna").await?, count(&shards, "bela").await?), (3, 1));
        pass(IDLE + Duration::from_millis(1)).await;
        assert_eq!((count(&shards, "anna").await?, count(&shards, "bela").await?), (1, 1));
        Ok(())
    })
    .await
}

#[derive(Default)]
struct Told;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Told {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_is_idle_goes_without_anybody_asking_for_it() -> TestResult {
    on_the_shard(SessionState::new(), async |shards| {
        let keeps = || task(async |cx: Context| Ok(cx.session_state(|_: &mut Told| 0)?));
        ask(&shards, keeps().of("anna")).await?;
        pass(Duration::from_secs(1)).await;
        ask(&shards, keeps().of("bela")).await?;
        let dropped = || DROPPED.load(Ordering::SeqCst);
        pass(IDLE - Duration::from_secs(1) + Duration::from_millis(1)).await;
        assert_eq!(dropped(), 1);
        pass(Duration::from_secs(1)).await;
        assert_eq!(dropped(), 2);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn no_session_is_forgotten_while_a_request_of_it_is_inside() -> TestResult {
    on_the_shard(SessionState::new(), async |shards| {
        let gate = Gate::shut();
        assert_eq!(count(&shards, "anna").await?, 1);
        // Inside, and read by nobody.
        let mut inside = shards.submit(waiting(&gate).of("anna")).await?;
        for _ in 0..3 {
            pass(2 * IDLE).await;
        }
        assert_eq!(count(&shards, "anna").await?, 2);
        gate.open();
        inside.output().await?;
        // Over, though its answer is still held.
        for _ in 0..2 {
            pass(IDLE + Duration::from_millis(1)).await;
        }
        assert_eq!(count(&shards, "anna").await?, 1);
        drop(inside);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancelled_request_keeps_nothing() -> TestResult {
    on_the_shard(SessionState::new(), async |shards| {
        let gate = Gate::shut();
        assert_eq!(count(&shards, "anna").await?, 1);
        let mut inside = shards.submit(waiting(&gate).of("anna")).await?;
        inside.cancel();
        pass(IDLE + Duration::from_millis(1)).await;
        assert_eq!(count(&shards, "anna").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_session_too_many_costs_the_one_that_was_used_least_recently() -> TestResult {
    on_the_shard(SessionState::new().most(3), async |shards| {
        for session in ["anna", "bela", "cora", "anna"] {
            count(&shards, session).await?;
        }
        assert_eq!(count(&shards, "dora").await?, 1);
        assert_eq!((count(&shards, "anna").await?, count(&shards, "cora").await?), (3, 2));
        // That forgets dora.
        assert_eq!(count(&shards, "bela").await?, 1);
        assert_eq!((count(&shards, "anna").await?, count(&shards, "cora").await?), (4, 3));
        assert_eq!(count(&shards, "dora").await?, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_session_with_a_request_inside_is_never_the_one_too_many() -> TestResult {
    on_the_shard(SessionState::new().most(2), async |shards| {
        let gate = Gate::shut();
        count(&shards, "anna").await?;
        let mut inside = vec![shards.submit(waiting(&gate).of("anna")).await?];
        for session in ["bela", "cora", "dora"] {
            assert_eq!(count(&shards, session).await?, 1);
        }
        assert_eq!(count(&shards, "dora").await?, 2);
        assert_eq!(count(&shards, "anna").await?, 2);
        // Where all have requests inside, there are more for a while.
        inside.push(shards.submit(waiting(&gate).of("dora")).await?);
        count(&shards, "edda").await?;
        inside.push(shards.submit(waiting(&gate).of("edda")).await?);
        count(&shards, "fred").await?;
        assert_eq!((count(&shards, "dora").await?, count(&shards, "edda").await?), (3, 2));
        gate.open();
        for answer in &mut inside {
            answer.output().await?;
        }
        Ok(())
    })
    .await
}
