//! What concurrency counts, and how far backpressure reaches.

use prompt_orchestrator::context::Permit;
use prompt_orchestrator::prelude::*;

use crate::common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, gated, one_gated, poll_once, settle, slots, until,
    until_on_threads,
};

#[tokio::test(start_paused = true)]
async fn a_blocked_last_stage_fills_every_place_up_to_the_door_and_no_more() -> TestResult {
    // (concurrency, depth) of each stage; what is blocked fills all of them.
    for stages in [[(1, 1), (1, 1)], [(2, 3), (4, 5)], [(70, 2), (1, 130)], [(1, 100), (100, 1)]] {
        for spawned in [false, true] {
            let place = |config: StageConfig| if spawned { config.spawned() } else { config.queued() };
            let (before, behind) = (Gate::shut(), Gate::shut());
            before.open();
            let config = |(concurrency, depth)| place(StageConfig::new().concurrency(concurrency).depth(depth));
            let first = gated(Pipeline::builder("sums"), "before", config(stages[0]), &before);
            let pipeline = gated(first, "behind", config(stages[1]), &behind).build()?;
            let capacity: usize = stages.iter().map(|(concurrency, depth)| concurrency + depth).sum();

            let clock = Stopwatch::start();
            let mut answers = Vec::new();
            for number in 0..capacity {
                let mut submission = Box::pin(pipeline.submit(ask(number as u64)));
                let mut admitted = poll_once(&mut submission).await;
                for _ in 0..4 {
                    if admitted.is_none() {
                        settle().await;
                        admitted = poll_once(&mut submission).await;
                    }
                }
                answers.push(admitted.ok_or_else(|| format!("{stages:?}: only {number} of {capacity} fit"))??);
            }
            settle().await;
            assert!(pipeline.try_submit(ask(0)).is_err(), "{stages:?}: more than {capacity} fit");
            let mut waiting = Box::pin(pipeline.submit(ask(0)));
            settle().await;
            assert!(poll_once(&mut waiting).await.is_none(), "{stages:?}: more than {capacity} fit");
            let stats = pipeline.stats();
            assert_eq!(stats.stages.iter().map(|s| s.depth).collect::<Vec<_>>(), stages.map(|(_, depth)| depth));
            assert_eq!(behind.inside(), stages[1].0);

            // Whoever leaves at the far end makes room for exactly one at the door.
            behind.let_through(1);
            until("one more is let in", || pipeline.stats().accepted == capacity as u64 + 1).await;
            clock.assert_still();
            behind.open();
            waiting.await?.output().await?;
            for answer in &mut answers {
                answer.output().await?;
            }
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_stage_is_used_and_never_exceeded() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        for limit in [1, 3, 64, 100] {
            let gate = Gate::shut();
            let pipeline = one_gated(config.clone().concurrency(limit), &gate)?;
            let mut answers = Vec::new();
            for number in 0..200 {
                answers.push(pipeline.submit(ask(number)).await?);
            }
            settle().await;
            assert_eq!((gate.inside(), pipeline.stats().stages[0].depth), (limit, 200 - limit));
            // One out, one in.
            gate.let_through(1);
            settle().await;
            assert_eq!((gate.inside(), pipeline.stats().stages[0].depth), (limit, 199 - limit));
            gate.open();
            for answer in &mut answers {
                answer.output().await?;
            }
            assert_eq!(gate.most_inside(), limit);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_the_limit_is_never_exceeded_either() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let gate = Gate::shut();
        let pipeline = one_gated(config.concurrency(3), &gate)?;
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (pipeline, gate) = (pipeline.clone(), gate.clone());
                tokio::spawn(async move {
                    for number in 0..200 {
                        let mut answer = pipeline.submit(ask(number)).await?;
                        gate.let_through(1);
                        answer.output().await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for caller in callers {
            caller.await??;
        }
        assert!(gate.most_inside() <= 3, "{} were inside", gate.most_inside());
        until_on_threads("all have ended", || pipeline.stats().in_flight == 0);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_inline_stage_shares_the_limit_of_the_stage_before() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let (outer, inner) = (Gate::shut(), Gate::shut());
        outer.open();
        let first = gated(Pipeline::builder("fused"), "outer", config.concurrency(2), &outer);
        let pipeline = gated(first, "inner", StageConfig::new().inline(), &inner).build()?;
        let mut answers = Vec::new();
        for number in 0..6 {
            answers.push(pipeline.submit(ask(number)).await?);
        }
        settle().await;
        assert_eq!((outer.entered(), inner.inside(), pipeline.stats().stages[0].depth), (2, 2, 4));
        inner.open();
        for answer in &mut answers {
            answer.output().await?;
        }
        assert_eq!(inner.most_inside(), 2);
    }
    Ok(())
}

/// An output that keeps its request inside the stage.
struct Kept {
    number: u64,
    _permit: Permit,
}

fn keeps_permits(config: StageConfig) -> Result<Pipeline<Ask, Kept>, BuildError> {
    Pipeline::builder("keeps")
        .then_with("work", config, |cx: Context, ask: Ask| async move {
            let permit = cx.hold_permit();
            if ask.number % 2 == 1 {
                tokio::task::yield_now().await;
            }
            Ok::<_, BoxError>(Kept { number: ask.number, _permit: permit })
        })
        .build()
}

#[tokio::test(start_paused = true)]
async fn an_output_that_holds_its_permit_counts_as_inside() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let pipeline = keeps_permits(config.concurrency(2))?;
        let mut answers = Vec::new();
        for number in 0..6 {
            answers.push(pipeline.submit(ask(number)).await?);
        }
        let clock = Stopwatch::start();
        let mut kept = std::collections::VecDeque::new();
        for (answer, number) in answers.iter_mut().zip(0..) {
            let output = answer.output().await?;
            assert_eq!(output.number, number);
            kept.push_back(output);
            settle().await;
            let (held, answered) = (kept.len(), pipeline.stats().answered as usize);
            assert!(held <= 2 && answered <= number as usize + 2, "{answered} are out while {held} are held");
            if held == 2 {
                // Both are held: nothing more comes until one is dropped.
                assert_eq!(answered, number as usize + 1);
                kept.pop_front();
            }
        }
        clock.assert_still();
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permit_held_by_an_output_that_nobody_took_goes_with_the_answer() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let pipeline = keeps_permits(config.concurrency(1))?;
        let first = pipeline.submit(ask(0)).await?;
        let mut second = pipeline.submit(ask(1)).await?;
        until("the first one is out", || pipeline.stats().answered == 1).await;
        settle().await;
        assert_eq!((pipeline.stats().answered, pipeline.stats().stages[0].depth), (1, 1));
        let clock = Stopwatch::start();
        drop(first);
        assert_eq!(second.output().await?.number, 1);
        clock.assert_still();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permit_dropped_inside_the_run_frees_nothing_early() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let gate = Gate::shut();
        let waits = gate.clone();
        let pipeline = Pipeline::builder("early")
            .then_with("work", config.concurrency(1), move |cx: Context, ask: Ask| {
                let gate = waits.clone();
                async move {
                    drop(cx.hold_permit());
                    gate.pass().await;
                    Ok::<_, BoxError>(ask)
                }
            })
            .build()?;
        let mut first = pipeline.submit(ask(0)).await?;
        let mut second = pipeline.submit(ask(1)).await?;
        settle().await;
        assert_eq!(gate.inside(), 1);
        gate.open();
        assert_eq!((first.output().await?.number, second.output().await?.number), (0, 1));
        assert_eq!(gate.most_inside(), 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn more_slots_than_the_default_limit_are_all_used() -> TestResult {
    let gate = Gate::shut();
    let many = StageConfig::new().slots(slots(300));
    let pipeline = one_gated(many, &gate)?;
    let mut answers = Vec::new();
    for number in 0..310 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    settle().await;
    assert_eq!(gate.inside(), 300);
    gate.open();
    for answer in &mut answers {
        answer.output().await?;
    }
    Ok(())
}
