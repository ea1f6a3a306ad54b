use std::io;

use orchestrator_config::file::Logs;
use tokio_util::sync::CancellationToken;

use super::message;

/// Signals that ask the process to end.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them over from the system; from now on they end nothing by themselves.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    #[cfg_attr(not(unix), expect(clippy::unnecessary_wraps, reason = "other systems have nothing to refuse"))]
    pub(super) fn take() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Cancels `stop` at the first one, and returns at the second.
    pub(super) async fn heed(mut self, stop: CancellationToken, logs: Logs) {
        self.next().await;
        stop.cancel();
        message::say(logs, "ending: what runs is finished, a second signal ends it at once");
        self.next().await;
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
