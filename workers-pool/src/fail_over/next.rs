use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::worker::InferenceRequest;

use crate::consequence::Consequence;

/// A call that is to be made.
pub(super) struct Next {
    pub(super) pause: Duration,
    pub(super) request: InferenceRequest,
    /// How many tokens of what was delivered it goes on behind; `None` where it begins anew.
    pub(super) behind: Option<u64>,
}

/// Returns the failure for which an answer that has begun is paced; `None` where it cannot go on.
///
/// A worker that has garbled it may be asked again, also where there is no other: it was able to answer. So that is as if the
/// stream had been cut.
pub(super) fn in_mid_answer(error: &WorkerError) -> Option<WorkerError> {
    match error.kind() {
        WorkerErrorKind::ContextLength { .. } => None,
        WorkerErrorKind::Protocol => Some(WorkerError::stream_cut()),
        _ => Some(error.clone()),
    }
}

/// Returns whether an answer that has begun may go on behind a failure, if there is somebody to go on with it.
pub(super) fn may_go_on(error: &WorkerError) -> bool {
    in_mid_answer(error).is_some_and(|error| Consequence::of(error.kind()).elsewhere)
}
