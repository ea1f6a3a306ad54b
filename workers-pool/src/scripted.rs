//! Workers that follow scripts, and how unit tests ask them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn request() -> InferenceRequest {
    InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()))
}

pub(crate) fn error(kind: WorkerErrorKind) -> WorkerError {
    WorkerError::new(kind, "not now")
}

pub(crate) fn failing() -> Script {
    Script::new().fail(error(WorkerErrorKind::Transient))
}

/// Follows the scripts in turn, and the last one from then on.
pub(crate) fn scripted(scripts: Vec<Script>) -> MockWorker {
    let calls = Arc::new(AtomicUsize::new(0));
    MockWorker::with(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        scripts[call.min(scripts.len() - 1)].clone()
    })
}

/// Reads an answer to its end.
pub(crate) async fn read(mut stream: TokenStream) -> Result<String, WorkerError> {
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        text.push_str(event?.text());
    }
    Ok(text)
}

pub(crate) async fn ask(worker: &impl ModelWorker) -> Result<String, WorkerError> {
    read(worker.infer(request()).await?).await
}
