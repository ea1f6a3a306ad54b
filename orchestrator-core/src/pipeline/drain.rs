use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use crate::pipeline::Pipeline;
use crate::request::Input;

/// What became of the requests that were inside when a drain began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Ended by themselves.
    pub finished: u64,
    /// Cancelled when the time was over.
    pub cancelled: u64,
}

impl<In: Input, Out: Send + 'static> Pipeline<In, Out> {
    /// Lets nothing more in, finishes what is inside, and after `limit` cancels the rest.
    ///
    /// What waits at the door is refused at once. Returns when nothing of the pipeline is left: no request, no task.
    /// There is no way back; a second call waits for the first one's end too.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the pipeline closed; what is inside goes on.
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        let shared = &self.inner.shared;
        self.inner.close();
        let inside = shared.in_flight();
        let finished = timeout(limit, self.idle()).await.is_ok();
        let mut cancelled = 0;
        if !finished {
            let left = shared.in_flight();
            let before = shared.counters.read().cancelled;
            shared.killed.store(true, Ordering::Release);
            for segment in &shared.segments {
                segment.queue.cancel_all();
                segment.gate.poke();
            }
            shared.watch.cancel_all();
            self.idle().await;
            cancelled = left.min(shared.counters.read().cancelled - before);
        }
        // What has ended may have a stream left that nobody polls.
        shared.watch.cancel_all();
        shared.tracker.wait().await;
        DrainReport { finished: inside.saturating_sub(cancelled), cancelled }
    }

    /// Waits until nothing is inside.
    async fn idle(&self) {
        let shared = &self.inner.shared;
        loop {
            let ended = shared.ended.notified();
            tokio::pin!(ended);
            // Registered before looking, so that no ending in between is missed.
            ended.as_mut().enable();
            if shared.in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }
}
