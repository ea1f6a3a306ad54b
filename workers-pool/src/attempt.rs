//! What is kept of calls that failed, and told of them in the end.

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Attempt, Attempts};

/// Adds a failed call to those of its request, to the request's report and to the log: the one way in which wrappers do so.
pub(crate) fn record(attempts: &Attempts, context: &Context, attempt: Attempt) {
    let Attempt { worker, kind, took, begun, .. } = &attempt;
    tracing::info!(%worker, ?kind, ?took, begun, "a call failed");
    let text = attempt.to_string();
    attempts.push(attempt);
    context.note(format!("attempt {}: {text}", attempts.len()));
}

/// Marks the last failure as one that is not tried again, for those around who would.
pub(crate) fn mark_given_up(attempts: &Attempts) {
    attempts.amend(attempts.len().saturating_sub(1), |last| last.given_up = true);
}

/// Returns the last error of a request that nobody tries again, with all that was tried in its message. Its kind, status, body
/// and `retry_after` are those of the last failure.
///
/// Wrappers around wrappers may do so one after the other: the message is made from the attempts alone.
pub(crate) fn give_up(error: WorkerError, attempts: &Attempts) -> WorkerError {
    let failed = attempts.all();
    if failed.len() < 2 {
        return error;
    }
    let each: Vec<_> = failed.iter().map(Attempt::to_string).collect();
    error.with_message(format!("{} attempts: {}", failed.len(), each.join("; ")))
}
