//! In which order requests leave a queue, and a stage.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_orchestrator::pipeline::Builder;
use prompt_orchestrator::prelude::*;

use crate::common::{Ask, Gate, TestResult, ask, burn, gated, one_gated, poll_once, settle};

/// What a stage has seen, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn push(&self, number: u64) {
        self.0.lock().expect("not poisoned").push(number);
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }

    /// Adds an inline stage that notes what passes.
    fn behind(&self, builder: Builder<Ask, Ask>) -> Builder<Ask, Ask> {
        let seen = self.clone();
        builder.then_with("seen", StageConfig::new().inline(), move |_cx, ask: Ask| {
            seen.push(ask.number);
            async move { Ok::<_, BoxError>(ask) }
        })
    }
}

/// A pipeline that takes one at a time at a gate, and what has passed the gate.
fn one_at_a_time(config: StageConfig, gate: &Gate) -> Result<(Pipeline<Ask, Ask>, Seen), BuildError> {
    let seen = Seen::default();
    let pipeline = seen.behind(gated(Pipeline::builder("order"), "work", config.concurrency(1), gate)).build()?;
    Ok((pipeline, seen))
}

#[tokio::test(start_paused = true)]
async fn a_class_is_served_in_order_of_arrival() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let gate = Gate::shut();
        let (pipeline, seen) = one_at_a_time(config, &gate)?;
        let mut answers = Vec::new();
        for number in 0..300 {
            answers.push(pipeline.submit(ask(number)).await?);
        }
        gate.open();
        for answer in &mut answers {
            answer.output().await?;
        }
        assert_eq!(seen.take(), (0..300).collect::<Vec<_>>());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_higher_class_is_served_first() -> TestResult {
    use Priority::{High, Low, Normal};
    let gate = Gate::shut();
    let (pipeline, seen) = one_at_a_time(StageConfig::new(), &gate)?;
    let mut answers = vec![pipeline.submit(ask(0)).await?];
    settle().await;
    for (number, class) in [(31, Low), (21, Normal), (11, High), (32, Low), (22, Normal), (12, High)] {
        answers.push(pipeline.submit(ask(number).priority(class)).await?);
    }
    settle().await;
    gate.let_through(2);
    settle().await;
    // One more of the highest class, behind those that came before it and ahead of all others.
    answers.push(pipeline.submit(ask(13).priority(High)).await?);
    gate.open();
    for answer in &mut answers {
        answer.output().await?;
    }
    assert_eq!(seen.take(), [0, 11, 12, 13, 21, 22, 31, 32]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_higher_class_is_let_in_first_at_a_full_door() -> TestResult {
    use Priority::{High, Low, Normal};
    let gate = Gate::shut();
    let (pipeline, seen) = one_at_a_time(StageConfig::new().depth(1), &gate)?;
    let mut answers = vec![pipeline.submit(ask(0)).await?];
    settle().await;
    answers.push(pipeline.submit(ask(1)).await?);
    let classes = [(31, Low), (21, Normal), (11, High), (12, High), (22, Normal)];
    let mut waiting = Vec::new();
    for (number, class) in classes {
        let mut submission = Box::pin(pipeline.submit(ask(number).priority(class)));
        assert!(poll_once(&mut submission).await.is_none());
        waiting.push(submission);
    }
    gate.open();
    for submission in waiting {
        answers.push(submission.await?);
    }
    for answer in &mut answers {
        answer.output().await?;
    }
    assert_eq!(seen.take(), [0, 1, 11, 12, 21, 22, 31]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_take_the_room_of_one_who_waits() -> TestResult {
    let gate = Gate::shut();
    let pipeline = one_gated(StageConfig::new().depth(2).concurrency(1), &gate)?;
    let _running = pipeline.submit(ask(0)).await?;
    settle().await;
    let mut queued = vec![pipeline.submit(ask(1)).await?, pipeline.submit(ask(2)).await?];
    let mut waiting = Box::pin(pipeline.submit(ask(3)));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(queued.pop());
    // There was room, and it is the waiting one's, though that has not been polled since.
    assert!(pipeline.try_submit(ask(4)).is_err());
    waiting.await?.detach();
    Ok(())
}

/// Hands on 0 to 59 through a stage that takes the longer the less a number divides by seven.
async fn uneven(config: StageConfig) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let seen = Seen::default();
    let builder = Pipeline::builder("uneven").then_with("work", config, |_cx, ask: Ask| async move {
        for _ in 0..(60 - ask.number) % 7 {
            tokio::task::yield_now().await;
        }
        Ok::<_, BoxError>(ask)
    });
    let behind = StageConfig::new().depth(2).concurrency(1);
    let builder = builder.then_with("behind", behind, |_cx, ask: Ask| async move {
        tokio::task::yield_now().await;
        Ok::<_, BoxError>(ask)
    });
    let pipeline = seen.behind(builder).build()?;
    let mut answers = Vec::new();
    for number in 0..60 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    for answer in &mut answers {
        answer.output().await?;
    }
    Ok(seen.take())
}

#[tokio::test(start_paused = true)]
async fn an_ordered_stage_hands_on_in_the_order_in_which_it_took() -> TestResult {
    let in_order: Vec<_> = (0..60).collect();
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let config = config.concurrency(16);
        let seen = uneven(config.clone()).await?;
        assert_ne!(seen, in_order, "without `ordered` this proves nothing");
        assert_eq!(seen.len(), 60);
        assert_eq!(uneven(config.ordered()).await?, in_order);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_ordered_stage_counts_what_it_holds_back_as_inside() -> TestResult {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned()] {
        let gate = Gate::shut();
        let started = Seen::default();
        let (waits, starts) = (gate.clone(), started.clone());
        let pipeline = Pipeline::builder("ordered")
            .then_with("work", config.ordered().concurrency(3), move |_cx, number: u64| {
                starts.push(number);
                let gate = waits.clone();
                async move {
                    if number == 0 {
                        gate.pass().await;
                    }
                    Ok::<_, BoxError>(number)
                }
            })
            .build()?;
        let mut answers = Vec::new();
        for number in 0..5 {
            answers.push(pipeline.submit(number).await?);
        }
        settle().await;
        assert_eq!(started.take(), [0, 1, 2]);
        gate.open();
        for (answer, number) in answers.iter_mut().zip(0..) {
            assert_eq!(answer.output().await?, number);
        }
    }
    Ok(())
}

/// Real time: what puts a batch aside is the time that its first polls took.
#[tokio::test]
async fn a_batch_of_long_first_polls_gives_way_to_a_higher_class() -> TestResult {
    let late = Arc::new(Mutex::new(None::<Pipeline<Ask, Ask>>));
    let urgent = Arc::new(Mutex::new(None));
    let seen = Seen::default();
    let (submits, kept) = (late.clone(), urgent.clone());
    let builder = Pipeline::builder("order").then("work", move |_cx, asked: Ask| {
        burn(Duration::from_micros(200));
        if asked.number == 0 {
            let pipeline = submits.lock().expect("not poisoned").take().expect("it is there");
            let answer = pipeline.try_submit(ask(99).priority(Priority::High));
            *kept.lock().expect("not poisoned") = Some(answer);
        }
        async move { Ok::<_, BoxError>(asked) }
    });
    let pipeline = seen.behind(builder).build()?;
    *late.lock().expect("not poisoned") = Some(pipeline.clone());
    let mut answers = Vec::new();
    for number in 0..5 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    for answer in &mut answers {
        answer.output().await?;
    }
    // All five were popped together; the one of a higher class came while the first was polled.
    assert_eq!(seen.take(), [0, 99, 1, 2, 3, 4]);
    let urgent = urgent.lock().expect("not poisoned").take().ok_or("it was submitted")?;
    assert_eq!(urgent?.output().await?.number, 99);
    Ok(())
}
