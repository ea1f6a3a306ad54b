use std::time::Duration;

use tokio::sync::oneshot;

/// Tokio's clock, held in the test's hand: it stands still, also while nothing can go on, until it is
/// [advanced](Self::advance).
///
/// For tests of time limits beside real sockets. A clock that is merely paused jumps to the next timer whenever the runtime
/// waits for I/O.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::testing::HeldClock;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
/// let clock = HeldClock::pause();
/// let limit = tokio::spawn(tokio::time::sleep(Duration::from_secs(60)));
/// clock.advance(Duration::from_secs(59)).await;
/// assert!(!limit.is_finished());
/// clock.advance(Duration::from_secs(1)).await;
/// limit.await.expect("it has passed");
/// # });
/// ```
#[derive(Debug)]
pub struct HeldClock {
    /// Tokio does not advance the clock by itself while a blocking task runs; this one runs until its sender is gone.
    _held: oneshot::Sender<()>,
}

impl HeldClock {
    /// Pauses the clock of this runtime and holds it until the value is dropped; then it is a paused clock.
    ///
    /// # Panics
    ///
    /// Panics outside of a current-thread runtime, and where the clock is paused already.
    #[must_use]
    #[track_caller]
    pub fn pause() -> Self {
        tokio::time::pause();
        let (held, released) = oneshot::channel();
        // Ends with the value: owned by it, as a blocking task cannot be aborted.
        drop(tokio::task::spawn_blocking(move || released.blocking_recv()));
        Self { _held: held }
    }

    /// Moves the clock on and lets those run whose time has come.
    ///
    /// By a millisecond more than `time`, as timers are rounded up to whole ones: whatever waits for `time` from now is due.
    pub async fn advance(&self, time: Duration) {
        tokio::time::advance(time + Duration::from_millis(1)).await;
        tokio::task::yield_now().await;
    }
}
