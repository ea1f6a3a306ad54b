mod circuit;
mod pipeline;
mod random;
mod slots;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};

use super::{Breaker, BreakerConfig, BreakerState};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn request() -> InferenceRequest {
    InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()))
}

fn error(kind: WorkerErrorKind) -> WorkerError {
    WorkerError::new(kind, "no")
}

fn failing() -> Script {
    Script::new().fail(error(WorkerErrorKind::Transient))
}

/// Follows the scripts in turn, and the last one from then on.
fn scripted(scripts: Vec<Script>) -> MockWorker {
    let calls = Arc::new(AtomicUsize::new(0));
    MockWorker::with(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        scripts[call.min(scripts.len() - 1)].clone()
    })
}

/// Reads an answer to its end.
async fn ask(worker: &impl ModelWorker) -> Result<String, WorkerError> {
    let mut stream = worker.infer(request()).await?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        text.push_str(event?.text());
    }
    Ok(text)
}

/// Makes calls that fail until it is open.
async fn open(breaker: &impl ModelWorker, calls: usize) {
    for _ in 0..calls {
        ask(breaker).await.expect_err("fails");
    }
}
