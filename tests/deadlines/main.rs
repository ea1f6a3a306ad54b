//! Time limits hold wherever a request is, at their instant on the paused clock: deadlines at the door, in a queue, in a
//! run, in a blocked output and while tokens flow; a stage's own time limit; and the reader's, who must not stall.
//!
//! - `waiting`: a deadline at the door and in a queue;
//! - `running`: a deadline in a run, in a blocked output and in one that is held back for its order;
//! - `streams`: a deadline inside the worker's call and while tokens flow, read or not;
//! - `stages`: a stage's own time limit, alone and beside a deadline;
//! - `readers`: the reader's time limit.

#[path = "../common/mod.rs"]
mod common;

mod readers;
mod running;
mod stages;
mod streams;
mod waiting;

use std::time::Duration;

use prompt_orchestrator::prelude::*;

use crate::common::{Ask, Gate, gated, soon};

const NEAR: Duration = Duration::from_millis(100);
const FAR: Duration = Duration::from_secs(100);

/// Waits until the request has ended without an answer, without reading it.
async fn ended<Out: Send + 'static>(answer: &Answer<Out>) {
    soon(answer.context().cancellation().cancelled()).await;
}

async fn error_of<Out: Send + 'static>(answer: &mut Answer<Out>) -> Error {
    soon(answer.output()).await.err().expect("it has run out of time")
}

/// A pipeline whose second stage is inline behind the first one, and waits at `gate`.
fn fused(config: StageConfig, inline: StageConfig, gate: &Gate) -> Result<Pipeline<Ask, Ask>, BuildError> {
    let first =
        Pipeline::builder("fused").then_with("outer", config, |_cx, ask: Ask| async move { Ok::<_, BoxError>(ask) });
    gated(first, "inner", inline.inline(), gate).build()
}
