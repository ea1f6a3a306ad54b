use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// Makes a runtime of a thread for each core that this process may use.
///
/// Where that is one, everything runs on the calling thread: two that take turns on a core are slower than one.
///
/// # Errors
///
/// Where the system refuses.
pub(super) fn all_cores() -> io::Result<Runtime> {
    match cores().get() {
        1 => one_core(),
        cores => Builder::new_multi_thread().worker_threads(cores).enable_all().build(),
    }
}

/// Returns how many cores this process may use, by its affinity and its container's quota.
pub(super) fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Makes a runtime of the calling thread.
///
/// # Errors
///
/// Where the system refuses.
pub(super) fn one_core() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
