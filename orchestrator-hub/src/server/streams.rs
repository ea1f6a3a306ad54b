use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

use super::patience::Patience;

tokio::task_local! {
    /// Whether the client of this stream has yet to make room for what it was sent last.
    static IS_UNREAD: Cell<bool>;
}

/// Runs the streams of HTTP/2 connections, each as a task of its own, and resets those whose client makes no room for them.
///
/// A client may keep its connection busy, and leave one of its streams unread: the socket does not see that.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    stall: Duration,
}

impl Streams {
    /// `stall` is how long a client may leave a stream unread.
    pub(super) const fn new(tasks: TaskTracker, stall: Duration) -> Self {
        Self { tasks, stall }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.tasks.spawn(IS_UNREAD.scope(Cell::new(false), run(stream, self.stall)));
    }
}

/// Runs a stream to its end, or until it stalls. Dropped, it is reset.
async fn run(stream: impl Future<Output = ()>, stall: Duration) {
    let mut stream = pin!(stream);
    let mut patience = Patience::default();
    poll_fn(|cx| poll(stream.as_mut(), &mut patience, stall, cx)).await;
}

fn poll<F: Future<Output = ()>>(
    stream: Pin<&mut F>,
    patience: &mut Patience,
    stall: Duration,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if stream.poll(cx).is_ready() {
        return Poll::Ready(());
    }
    if IS_UNREAD.with(Cell::get) {
        return patience.poll_for(cx, stall);
    }
    patience.end();
    Poll::Pending
}

/// Notes whether what a stream's body has handed out has yet to be taken by the client; elsewhere than in a stream, nothing.
pub(super) fn is_unread(is_unread: bool) {
    // Connections over HTTP/1 see it at their socket.
    let _ = IS_UNREAD.try_with(|cell| cell.set(is_unread));
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_ends_and_one_that_waits_for_its_answer_does_not() {
        let start = Instant::now();
        let streams = Streams::new(TaskTracker::new(), Duration::from_secs(10));
        streams.execute(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            is_unread(true);
            std::future::pending().await
        });
        streams.tasks.close();
        streams.tasks.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(70));
    }
}
