use std::sync::atomic::{AtomicUsize, Ordering};

use orchestrator_core::error::{WorkerError, WorkerErrorKind};

/// Counts the calls that wait inside of a pool, which are not too many.
#[derive(Debug)]
pub(super) struct Waiting {
    most: usize,
    now: AtomicUsize,
}

/// A call that waits, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Waiting {
    pub(super) const fn up_to(most: usize) -> Self {
        Self { most, now: AtomicUsize::new(0) }
    }

    /// Lets one more wait, or says why it may not.
    pub(super) fn enter(&self) -> Result<Place<'_>, WorkerError> {
        let place = Place(&self.now);
        if self.now.fetch_add(1, Ordering::Relaxed) < self.most {
            return Ok(place);
        }
        let message =
            format!("the members that could take it have no slot free, and {} calls wait for some already", self.most);
        Err(WorkerError::new(WorkerErrorKind::Overloaded, message).unsent())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
