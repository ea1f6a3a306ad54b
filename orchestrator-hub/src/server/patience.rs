use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that costs nothing before something is waited for, and little where that comes in time.
///
/// What it waits for may be put off again and again: it is set anew when it fires, not each time.
#[derive(Debug, Default)]
pub(super) struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when [`poll_for`](Self::poll_for) waits.
    since: Option<Instant>,
}

impl Patience {
    /// When the timer fires that was set last, if one was.
    pub(super) fn fires_at(&self) -> Option<Instant> {
        self.timer.as_ref().map(|timer| timer.deadline())
    }

    /// Is ready at `deadline`, which may be another one each time.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Is ready when it has been polled for so long, without an [`end`](Self::end).
    pub(super) fn poll_for(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.poll_until(cx, since + patience)
    }

    /// What was waited for has come.
    pub(super) const fn end(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_can_be_put_off_and_brought_forward() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let mut deadline = start + 5 * SECOND;
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            if Instant::now() == start + 5 * SECOND {
                deadline = start + 8 * SECOND;
            }
            patience.poll_until(cx, deadline)
        })
        .await;
        assert_eq!((start.elapsed(), polls), (8 * SECOND, 3));
        let mut sooner = poll_fn(|cx| patience.poll_until(cx, start + 90 * SECOND));
        assert!(tokio::time::timeout(SECOND, &mut sooner).await.is_err());
        poll_fn(|cx| patience.poll_until(cx, start + 10 * SECOND)).await;
        assert_eq!(start.elapsed(), 10 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_starts_the_time_anew() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let waited = tokio::time::timeout(SECOND, poll_fn(|cx| patience.poll_for(cx, 2 * SECOND))).await;
        assert!(waited.is_err());
        patience.end();
        poll_fn(|cx| patience.poll_for(cx, 2 * SECOND)).await;
        assert_eq!(start.elapsed(), 3 * SECOND);
    }
}
