//! Cancelled inside a stage: while it runs, and while a full queue or its order holds its output back.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use prompt_orchestrator::prelude::*;

use crate::common::{
    Ask, Gate, Stopwatch, TestResult, ask, assert_balanced, gated, one_gated, placements, settle, soon, until,
};
use crate::{By, assert_told};

#[tokio::test(start_paused = true)]
async fn running_the_future_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            let gate = Gate::shut();
            let pipeline = one_gated(config.concurrency(1), &gate)?;
            let answer = pipeline.submit(ask(0)).await?;
            let mut next = pipeline.submit(ask(1)).await?;
            until("the first one runs", || gate.inside() == 1).await;
            settle().await;
            assert_eq!(gate.entered(), 1, "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answer);
            until("the run is dropped", || gate.dropped() == 1).await;
            until("the next one runs", || gate.entered() == 2).await;
            assert_told(told);
            gate.open();
            assert_eq!(next.output().await?.number, 1);
            clock.assert_still();
            let stats = pipeline.stats();
            assert_eq!((stats.answered, stats.cancelled), (1, 1), "{by:?}, {place}");
            assert_balanced(&stats);
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn running_inline_the_future_is_dropped_and_the_permit_of_the_stage_before_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            let gate = Gate::shut();
            let first =
                Pipeline::builder("fused")
                    .then_with("first", config.concurrency(1), |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
            let pipeline = gated(first, "inline", StageConfig::new().inline(), &gate).build()?;
            let answer = pipeline.submit(ask(0)).await?;
            let mut next = pipeline.submit(ask(1)).await?;
            until("the first one runs", || gate.inside() == 1).await;
            settle().await;
            assert_eq!(gate.entered(), 1, "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answer);
            until("the run is dropped", || gate.dropped() == 1).await;
            until("the next one runs", || gate.entered() == 2).await;
            assert_told(told);
            gate.open();
            assert_eq!(next.output().await?.number, 1);
            clock.assert_still();
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn running_whoever_holds_the_requests_token_is_told() -> TestResult {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let pipeline = Pipeline::builder("token")
        .then("hands out its token", move |cx: Context, _: u64| {
            let sender = sender.lock().expect("not poisoned").take();
            drop(sender.map(|sender| sender.send(cx.cancellation())));
            async move {
                std::future::pending::<()>().await;
                Ok::<_, BoxError>(())
            }
        })
        .build()?;
    let answer = pipeline.submit(0).await?;
    let token = receiver.await?;
    let context = answer.context();
    assert!(!token.is_cancelled() && !context.is_cancelled());
    drop(answer);
    assert!(token.is_cancelled() && context.is_cancelled());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_blocked_output_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            // The second stage takes one and queues one; the third output waits inside the first stage.
            let (before, behind) = (Gate::shut(), Gate::shut());
            before.let_through(3);
            let first = gated(Pipeline::builder("blocked"), "before", config.concurrency(1), &before);
            let second = StageConfig::new().depth(1).concurrency(1);
            let pipeline = gated(first, "behind", second, &behind).build()?;
            let mut answers = Vec::new();
            for number in 0..4 {
                answers.push(pipeline.submit(ask(number)).await?);
                settle().await;
            }
            assert_eq!((before.entered(), behind.entered()), (3, 1), "{place}");
            let depths: Vec<_> = pipeline.stats().stages.iter().map(|s| s.depth).collect();
            assert_eq!(depths, [1, 1], "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answers.remove(2));
            until("the first stage takes the next one", || before.entered() == 4).await;
            assert_told(told);
            assert_eq!(pipeline.stats().stages[1].depth, 1, "a blocked output is in no queue");
            before.open();
            behind.open();
            for (answer, number) in answers.iter_mut().zip([0, 1, 3]) {
                assert_eq!(answer.output().await?.number, number);
            }
            clock.assert_still();
            assert_eq!(behind.entered(), 3, "the cancelled output went on");
            assert_eq!(pipeline.stats().cancelled, 1);
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_output_held_back_for_its_order_is_dropped_and_its_permit_is_free() -> TestResult {
    for by in By::BOTH {
        for (place, config) in placements() {
            // Request 0 waits at the gate, the others finish at once and are held back behind it.
            let gate = Gate::shut();
            let waits = gate.clone();
            let pipeline = Pipeline::builder("ordered")
                .then_with("work", config.ordered().concurrency(3), move |_cx, number: u64| {
                    let gate = waits.clone();
                    async move {
                        if number == 0 || number > 2 {
                            gate.pass().await;
                        }
                        Ok::<_, BoxError>(number)
                    }
                })
                .build()?;
            let mut answers = Vec::new();
            for number in 0..4 {
                answers.push(pipeline.submit(number).await?);
            }
            settle().await;
            assert_eq!((gate.entered(), pipeline.stats().stages[0].depth), (1, 1), "{place}");

            let clock = Stopwatch::start();
            let told = by.apply(answers.remove(1));
            until("the stage takes the next one", || gate.entered() == 2).await;
            assert_told(told);
            // The later one waits for its turn even so.
            gate.let_through(1);
            assert_eq!(answers.remove(0).output().await?, 0);
            assert_eq!(answers.remove(0).output().await?, 2);
            gate.let_through(1);
            assert_eq!(answers.remove(0).output().await?, 3);
            clock.assert_still();
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn in_an_ordered_stage_a_cancelled_run_holds_nobody_back() -> TestResult {
    for (place, config) in placements() {
        let gate = Gate::shut();
        let waits = gate.clone();
        let pipeline = Pipeline::builder("ordered")
            .then_with("work", config.ordered(), move |_cx, number: u64| {
                let gate = waits.clone();
                async move {
                    if number == 0 {
                        gate.pass().await;
                    }
                    Ok::<_, BoxError>(number)
                }
            })
            .build()?;
        let first = pipeline.submit(0).await?;
        let mut second = pipeline.submit(1).await?;
        settle().await;
        assert!(second.output().now_or_never().is_none(), "{place}");
        let clock = Stopwatch::start();
        drop(first);
        assert_eq!(second.output().await?, 1);
        clock.assert_still();
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_the_token_after_the_end_finds_it_cancelled() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new(), &gate)?;
    for turns in [false, true] {
        let mut answer = pipeline.submit(ask(0)).await?;
        if turns {
            settle().await;
        }
        let context = answer.context();
        answer.cancel();
        assert!(context.cancellation().is_cancelled());
        soon(context.cancellation().cancelled()).await;
    }
    // Of what was answered nobody has to let go.
    gate.open();
    let mut answered = pipeline.submit(ask(1)).await?;
    answered.output().await?;
    assert!(!answered.context().cancellation().is_cancelled());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cancels_its_own_request_is_dropped() -> TestResult {
    for (place, config) in placements() {
        // It does so in the poll after its first: from then on the stage waits for it, and has not yet done so before.
        let itself: Arc<Mutex<Option<Answer<()>>>> = Arc::default();
        let (cancels, gate) = (itself.clone(), Gate::shut());
        let waits = gate.clone();
        let pipeline = Pipeline::builder("itself")
            .then_with("work", config.concurrency(1), move |_cx, _: u64| {
                let (cancels, gate) = (cancels.clone(), waits.clone());
                async move {
                    tokio::task::yield_now().await;
                    drop(cancels.lock().expect("not poisoned").take());
                    gate.pass().await;
                    Ok::<_, BoxError>(())
                }
            })
            .build()?;
        *itself.lock().expect("not poisoned") = Some(pipeline.try_submit(0)?);
        let clock = Stopwatch::start();
        until("the run is dropped", || gate.dropped() == 1).await;
        gate.open();
        pipeline.submit(1).await?.output().await?;
        clock.assert_still();
        assert_eq!(pipeline.stats().cancelled, 1, "{place}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
