use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, oneshot};

use crate::context::Context;
use crate::runtime::permit::discard;

/// Jobs that may be with rayon at once, for each of its threads: enough that none runs dry.
const JOBS_PER_THREAD: usize = 4;

/// An offloaded job was given up before it started, because its request had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job was given up: its request has ended")]
pub struct OffloadError(());

/// The permits of everything that is offloaded to rayon's global pool.
fn cpu_permits() -> &'static Arc<Semaphore> {
    static PERMITS: OnceLock<Arc<Semaphore>> = OnceLock::new();
    PERMITS.get_or_init(|| Arc::new(Semaphore::new(rayon::current_num_threads() * JOBS_PER_THREAD)))
}

/// Has rayon start its threads now, from a thread that may run on every core: they inherit that.
pub(crate) fn start_cpu_pool() {
    cpu_permits();
}

impl Context {
    /// Runs a CPU-bound job on rayon's pool and waits for its result.
    ///
    /// For jobs above about 50 us; shorter ones are cheaper inline (the way there and back costs 0.4 us under load, 13 us
    /// when idle). At most four jobs per thread are with rayon at once; the others wait here, where a cancelled
    /// request costs nothing.
    ///
    /// # Errors
    ///
    /// Fails where the request ended before the job started.
    ///
    /// # Panics
    ///
    /// A panic of the job goes on in the caller, where it is one request's error.
    ///
    /// # Cancel safety
    ///
    /// The caller does not wait for a job that has started: that keeps its CPU permit until it returns.
    pub fn offload<T, F>(&self, job: F) -> impl Future<Output = Result<T, OffloadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let request = self.clone();
        async move {
            let permit = cpu_permits().clone().acquire_owned().await;
            let (sender, receiver) = oneshot::channel();
            rayon::spawn(move || {
                // Not started for somebody who has left, be it with the request or with a `select!` of its own.
                let wanted = !request.is_cancelled() && !sender.is_closed();
                let result = if wanted {
                    Some(catch_unwind(AssertUnwindSafe(job)))
                } else {
                    discard(job);
                    None
                };
                // Free before the caller goes on, so that whoever sees the result sees the permit free.
                drop(permit);
                discard(request);
                // Nobody there: the caller has left, and the result with it.
                discard(sender.send(result));
            });
            match receiver.await {
                Ok(Some(Ok(value))) => Ok(value),
                Ok(Some(Err(panic))) => resume_unwind(panic),
                Ok(None) | Err(_) => Err(OffloadError(())),
            }
        }
    }

    /// Runs a job that blocks on something else than the CPU on Tokio's blocking pool and waits for its result.
    ///
    /// For files and synchronous clients. CPU-bound jobs belong to [`offload`](Self::offload), which costs a fraction
    /// under load and does not grow threads.
    ///
    /// # Errors
    ///
    /// Fails where the request ended, or the runtime stopped, before the job started.
    ///
    /// # Panics
    ///
    /// A panic of the job goes on in the caller, where it is one request's error. Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// The caller does not wait for a job that has started; one that has not is not started any more.
    pub fn offload_blocking<T, F>(&self, job: F) -> impl Future<Output = Result<T, OffloadError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let request = self.clone();
        async move {
            let handle = tokio::task::spawn_blocking(move || (!request.is_cancelled()).then(job));
            let handle = tokio_util::task::AbortOnDropHandle::new(handle);
            match handle.await {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(OffloadError(())),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_) => Err(OffloadError(())),
                },
            }
        }
    }
}
