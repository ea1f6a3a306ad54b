//! What the door and the queues do when more comes than the slots can serve. The clock is paused.

mod classes;
#[path = "../common/mod.rs"]
mod common;
mod door;
mod faults;
mod queues;
mod tenants;

use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::request::Size;

use common::count;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A request that holds its slot for so long, and says so.
#[derive(Debug, Clone, Copy)]
struct Work(Duration);

impl Input for Work {
    fn size(&self) -> Size {
        Size::Time(self.0)
    }
}

/// One that does not say it.
#[derive(Debug, Clone, Copy)]
struct Unsized(Duration);

impl Input for Unsized {}

async fn hold(time: Duration) -> Result<Duration, BoxError> {
    tokio::time::sleep(time).await;
    Ok(time)
}

fn slots(number: usize) -> Slots {
    Slots::new(count(number))
}

/// A pipeline whose only stage holds one of `slots` for as long as the request says.
fn serving(slots: &Slots, config: StageConfig) -> Pipeline<Work, Duration> {
    let config = config.slots(slots.clone());
    let built = Pipeline::builder("serving").then_with("work", config, |_cx, work: Work| hold(work.0)).build();
    built.expect("the plan is sound")
}

/// Requests that wait until they are answered or dropped.
fn outcomes<Out: Send + 'static>(answers: Vec<Answer<Out>>) -> impl Future<Output = Vec<Result<Out, Error>>> {
    futures_util::future::join_all(answers.into_iter().map(|mut answer| async move { answer.output().await }))
}
