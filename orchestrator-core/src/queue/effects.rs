use std::task::Waker;

/// What an operation leaves to be done after the lock is released.
///
/// Whoever runs a queue keeps one and empties it after every operation, so that the vectors are allocated once.
#[derive(Debug)]
#[must_use = "wakers and entries in here wait to be dealt with"]
pub(crate) struct Effects<T, W> {
    /// The consumer, to be woken.
    pub(crate) wake: Option<Waker>,
    /// Tickets of entries that wait no longer: admitted, or unlinked.
    pub(crate) tickets: Vec<W>,
    /// Entries that made room for a newcomer.
    pub(crate) evicted: Vec<T>,
    /// Newcomers that found the queue full.
    pub(crate) rejected: Vec<T>,
    /// Entries that had been given up, or that a closed queue did not take.
    pub(crate) dead: Vec<T>,
    /// Admitted entries whose deadline passed, or that had waited for as long as they may.
    pub(crate) expired: Vec<T>,
    /// Admitted entries that were dropped because all had waited for too long; see [`codel`](super::codel).
    pub(crate) late: Vec<T>,
    /// Waiting entries whose deadline passed.
    pub(crate) expired_waiting: Vec<T>,
}

impl<T, W> Effects<T, W> {
    /// Makes an empty one; allocates nothing.
    pub(crate) const fn new() -> Self {
        Self {
            wake: None,
            tickets: Vec::new(),
            evicted: Vec::new(),
            rejected: Vec::new(),
            dead: Vec::new(),
            expired: Vec::new(),
            late: Vec::new(),
            expired_waiting: Vec::new(),
        }
    }

    /// Whether nothing but a waker is in it.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        let jobs = [&self.evicted, &self.rejected, &self.dead, &self.expired, &self.late, &self.expired_waiting];
        self.tickets.is_empty() && jobs.iter().all(|j| j.is_empty())
    }

    /// Wakes the consumer if it has to be.
    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.wake.take() {
            waker.wake();
        }
    }
}
