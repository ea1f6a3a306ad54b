//! What stands around a pool: attempts that follow a failure.

use std::sync::Arc;

use orchestrator_core::worker::ModelWorker;
use workers_pool::{FailOver, Pace, Pool, Resume, Retry, RetryMeter};

use super::naming::Unnamed;
use crate::file;

/// A pool with what stands around it, and what tells of attempts.
pub(super) type Guarded = (Arc<dyn ModelWorker>, RetryMeter);

/// Asks again, and goes on elsewhere, as the file says.
pub(super) fn guarded(pool: Pool, settings: &file::Pool) -> Guarded {
    around(pool, &settings.retry, settings.fail_over)
}

/// The same for a pool whose members each have their own name for what is asked.
pub(super) fn guarded_unnamed(pool: Pool, retry: &file::Retry, fail_over: file::FailOver) -> Guarded {
    around(Unnamed(pool), retry, fail_over)
}

fn around(worker: impl ModelWorker, retry: &file::Retry, fail_over: file::FailOver) -> Guarded {
    let pace = Pace::new().attempts(retry.attempts.get()).backoff(retry.pause.into(), retry.longest_pause.into());
    let worker = Retry::new(worker).pace(pace).budget(retry.budget);
    let retries = worker.meter();
    let resume = match fail_over {
        file::FailOver::Off => return (Arc::new(worker), retries),
        file::FailOver::Continue => Resume::Continue,
        file::FailOver::Restart => Resume::Restart,
    };
    (Arc::new(FailOver::new(worker).pace(pace).resume(resume)), retries)
}
