//! What is left of a popped batch that was put aside: it waits behind a higher class, and can be reached all the same.
//!
//! Real time: what puts a batch aside is the time that its first polls took.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_orchestrator::error::ShedReason;
use prompt_orchestrator::prelude::*;
use tokio::time::timeout;

use crate::common::{Ask, Gate, TestResult, ask, assert_balanced, burn, settle, until};

/// Longer than any of this takes.
const TOO_LONG: Duration = Duration::from_secs(5);

/// An input that tells whether it is still there.
struct Item {
    ask: Ask,
    _alive: Arc<()>,
}

impl Input for Item {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.ask.options)
    }
}

/// A stage for two at a time with 0 and 99 at its gate, and 1, which was popped with 0, left in its batch.
struct Aside {
    pipeline: Pipeline<Item, u64>,
    gate: Gate,
    /// What was started, in order.
    started: Arc<Mutex<Vec<u64>>>,
    alive: Arc<()>,
    left: Answer<u64>,
    others: Vec<Answer<u64>>,
}

impl Aside {
    async fn new(left: Ask) -> Result<Self, Box<dyn std::error::Error>> {
        let (gate, alive) = (Gate::shut(), Arc::new(()));
        let started: Arc<Mutex<Vec<u64>>> = Arc::default();
        let urgent = Arc::new(Mutex::new(None::<(Pipeline<Item, u64>, Item)>));
        let answered = Arc::new(Mutex::new(None));
        let (starts, waits, submits, kept) = (started.clone(), gate.clone(), urgent.clone(), answered.clone());
        let pipeline = Pipeline::builder("aside")
            .then_with("work", StageConfig::new().concurrency(2), move |_cx, item: Item| {
                starts.lock().expect("not poisoned").push(item.ask.number);
                if let Some((pipeline, urgent)) = submits.lock().expect("not poisoned").take() {
                    *kept.lock().expect("not poisoned") = Some(pipeline.try_submit(urgent));
                    // The batch is put aside for the urgent one.
                    burn(Duration::from_micros(200));
                }
                let gate = waits.clone();
                async move {
                    gate.pass().await;
                    Ok::<_, BoxError>(item.ask.number)
                }
            })
            .build()?;
        let item = |ask| Item { ask, _alive: Arc::default() };
        *urgent.lock().expect("not poisoned") = Some((pipeline.clone(), item(ask(99).priority(Priority::High))));
        // No turn for the stage in between, so that it pops both.
        let first = pipeline.try_submit(item(ask(0)))?;
        let left = pipeline.try_submit(Item { ask: left, _alive: alive.clone() })?;
        until("two are at the gate", || gate.inside() == 2).await;
        let urgent = answered.lock().expect("not poisoned").take().ok_or("it was submitted")??;
        let aside = Self { pipeline, gate, started, alive, left, others: vec![first, urgent] };
        assert_eq!((aside.started(), aside.pipeline.stats().stages[0].depth), (vec![0, 99], 0));
        Ok(aside)
    }

    fn submit(&self, ask: Ask) -> Result<Answer<u64>, Error> {
        self.pipeline.try_submit(Item { ask, _alive: Arc::default() })
    }

    fn started(&self) -> Vec<u64> {
        self.started.lock().expect("not poisoned").clone()
    }
}

#[tokio::test]
async fn what_is_left_gives_way_as_long_as_it_waits() -> TestResult {
    let mut aside = Aside::new(ask(1)).await?;
    let later = aside.submit(ask(98).priority(Priority::High))?;
    aside.others.push(later);
    aside.gate.let_through(1);
    until("a place is taken again", || aside.gate.entered() == 3).await;
    assert_eq!(aside.started(), [0, 99, 98]);
    aside.gate.open();
    assert_eq!(timeout(TOO_LONG, aside.left.output()).await??, 1);
    for answer in &mut aside.others {
        answer.output().await?;
    }
    assert_eq!(aside.started(), [0, 99, 98, 1]);
    assert_balanced(&aside.pipeline.stats());
    Ok(())
}

#[tokio::test]
async fn what_is_left_is_shed_when_its_deadline_passes() -> TestResult {
    let (near, far) = (Duration::from_millis(20), Duration::from_millis(60));
    let mut aside = Aside::new(ask(1).within(far)).await?;
    // In the queue, and earlier: the look that it causes must not be the last one.
    let mut queued = aside.submit(ask(2).within(near))?;
    for answer in [&mut queued, &mut aside.left] {
        let error = timeout(TOO_LONG, answer.output()).await?.expect_err("it never had a place");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Shed(ShedReason::Deadline), Some("work")));
    }
    until("the input is dropped", || Arc::strong_count(&aside.alive) == 1).await;
    assert_eq!(aside.started(), [0, 99]);
    Ok(())
}

#[tokio::test]
async fn what_is_left_is_dropped_when_it_is_cancelled() -> TestResult {
    let Aside { pipeline, gate, started, alive, left, mut others } = Aside::new(ask(1)).await?;
    drop(left);
    // While both places are still taken.
    until("the input is dropped", || Arc::strong_count(&alive) == 1).await;
    gate.open();
    for answer in &mut others {
        answer.output().await?;
    }
    settle().await;
    assert_eq!(*started.lock().expect("not poisoned"), [0, 99]);
    assert_balanced(&pipeline.stats());
    Ok(())
}

#[tokio::test]
async fn what_is_left_is_cancelled_by_a_drain_and_not_run() -> TestResult {
    let aside = Aside::new(ask(1)).await?;
    let report = timeout(TOO_LONG, aside.pipeline.drain(Duration::ZERO)).await?;
    assert_eq!((report.finished, report.cancelled), (0, 3));
    assert_eq!((aside.started(), Arc::strong_count(&aside.alive)), (vec![0, 99], 1));
    assert_balanced(&aside.pipeline.stats());
    Ok(())
}
