mod circuit;
mod pipeline;
mod random;
mod slots;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};

use crate::scripted::{ask, error, failing, request, scripted, seconds};

use super::{Breaker, BreakerConfig, BreakerState};

/// Makes calls that fail until it is open.
async fn open(breaker: &impl ModelWorker, calls: usize) {
    for _ in 0..calls {
        ask(breaker).await.expect_err("fails");
    }
}
