use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use sync_wrapper::SyncWrapper;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Sent;
use super::body::LineBody;
use super::connection::{Line, LineError};

/// The connections to one server: those that are idle are used again, the last one first.
pub(in crate::client) struct Lines {
    host: Box<str>,
    port: u16,
    connect: Duration,
    idle: Arc<Idle>,
}

/// Connections that wait for a request, and nobody drives.
pub(super) struct Idle {
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longest idle one first.
    lines: VecDeque<(Instant, SyncWrapper<Line>)>,
    /// The task that closes them when they have been idle for too long; there while there are any.
    sweeper: Option<AbortHandle>,
}

impl Lines {
    /// Of a server; a connection is kept for as long as `longest` without being used.
    pub(in crate::client) fn new(host: &str, port: u16, connect: Duration, longest: Duration) -> Self {
        let idle = Arc::new(Idle { longest, state: Mutex::default() });
        Self { host: host.into(), port, connect, idle }
    }

    /// Sends a request and waits for the head of its response. One of which nothing has been sent, as its connection had been closed
    /// meanwhile, is sent over another one.
    pub(in crate::client) async fn send(&self, mut request: Sent) -> Result<Response<LineBody>, LineError> {
        loop {
            let kept = poll_fn(|cx| Poll::Ready(self.idle.take(cx))).await;
            let is_new = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                // In a box, as what it takes would lie in every request's future otherwise.
                None => Box::pin(Line::connect(&self.host, self.port, self.connect)).await?,
            };
            match line.send(request).await {
                Ok(response) => return Ok(response.map(|body| LineBody::new(body, line, self.idle.clone()))),
                Err(failed) => match failed.request {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(LineError::Broken(failed.error)),
                },
            }
        }
    }
}

impl Idle {
    /// Takes a connection that its server has not closed.
    fn take(&self, cx: &mut Context<'_>) -> Option<Line> {
        loop {
            let (since, line) = self.state().lines.pop_back()?;
            let mut line = line.into_inner();
            if since.elapsed() < self.longest && line.is_ready(cx) {
                return Some(line);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(self: &Arc<Self>, line: Line) {
        let mut state = self.state();
        state.lines.push_back((Instant::now(), SyncWrapper::new(line)));
        if state.sweeper.is_none() {
            state.sweeper = Some(tokio::spawn(sweep(Arc::downgrade(self), self.longest)).abort_handle());
        }
    }

    /// Closes what has been idle for too long; returns when to look again, `None` where nothing is left.
    fn sweep(&self) -> Option<Instant> {
        let mut expired = Vec::new();
        let mut state = self.state();
        while state.lines.front().is_some_and(|(since, _)| since.elapsed() >= self.longest) {
            expired.extend(state.lines.pop_front());
        }
        let next = state.lines.front().map(|(since, _)| *since + self.longest);
        if next.is_none() {
            state.sweeper = None;
        }
        drop(state);
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with what it sweeps.
async fn sweep(idle: Weak<Idle>, longest: Duration) {
    let mut next = Instant::now() + longest;
    loop {
        tokio::time::sleep_until(next).await;
        match idle.upgrade().and_then(|idle| idle.sweep()) {
            Some(later) => next = later,
            None => return,
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Some(sweeper) = self.state().sweeper.take() {
            sweeper.abort();
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}
