use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What happens on a connection, as far as its socket has to know: how many requests are being answered, and since when there
/// is none.
#[derive(Debug)]
pub(super) struct Traffic {
    opened: Instant,
    in_flight: AtomicUsize,
    begun: AtomicU64,
    /// Nanoseconds from `opened` on.
    idle_since: AtomicU64,
}

impl Traffic {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
        })
    }

    /// Counts a request as being answered until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
        InFlight(self.clone())
    }

    /// Returns how many requests there were.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Returns since when no request is being answered; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.in_flight.load(Ordering::Acquire) == 0;
        is_idle.then(|| self.opened + Duration::from_nanos(self.idle_since.load(Ordering::Acquire)))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let since = self.0.opened.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        // The time comes first: whoever sees that there is no request sees since when.
        self.0.idle_since.store(since, Ordering::Release);
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_request_on() {
        let traffic = Traffic::new();
        let opened = Instant::now();
        assert_eq!(traffic.idle_since(), Some(opened));
        let requests = [traffic.enter(), traffic.enter()];
        assert_eq!((traffic.idle_since(), traffic.begun()), (None, 2));
        for request in requests {
            assert_eq!(traffic.idle_since(), None);
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(request);
        }
        assert_eq!(traffic.idle_since(), Some(opened + Duration::from_secs(2)));
    }
}
