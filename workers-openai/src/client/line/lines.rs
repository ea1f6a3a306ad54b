use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::Response;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Sent;
use super::body::LineBody;
use super::connection::{Line, LineError};
use super::head::Head;

/// The connections to one server: those that are idle are used again, the last one first.
pub(in crate::client) struct Lines {
    host: Box<str>,
    port: u16,
    connect: Duration,
    idle: Arc<Idle>,
}

/// Connections that wait for a request, and nobody reads.
#[derive(Debug)]
pub(super) struct Idle {
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The longest idle one first.
    lines: VecDeque<(Instant, Line)>,
    /// The task that closes them when they have been idle for too long; there while there are any.
    sweeper: Option<AbortHandle>,
}

impl Lines {
    /// Of a server; a connection is kept for as long as `longest` without being used.
    pub(in crate::client) fn new(host: &str, port: u16, connect: Duration, longest: Duration) -> Self {
        let idle = Arc::new(Idle { longest, state: Mutex::default() });
        Self { host: host.into(), port, connect, idle }
    }

    /// Sends a request and waits for the head of its response. One of which nothing has been sent, as its connection had been
    /// closed meanwhile, is sent over another one.
    pub(in crate::client) async fn send(&self, request: Sent) -> Result<Response<LineBody>, LineError> {
        loop {
            let kept = self.idle.take();
            let is_new = kept.is_none();
            let mut line = match kept {
                Some(line) => line,
                // In a box, as what it takes would lie in every request's future otherwise.
                None => Box::pin(Line::connect(&self.host, self.port, self.connect)).await?,
            };
            match line.send(request.wire.clone()).await {
                Ok(head) => return Ok(self.response(line, head, request.keeps)),
                Err(failed) if failed.is_unsent && !is_new => {}
                Err(failed) => return Err(LineError::Broken(failed.error)),
            }
        }
    }

    fn response(&self, line: Line, head: Head, keeps: bool) -> Response<LineBody> {
        let idle = (keeps && head.keeps).then(|| self.idle.clone());
        let mut response = Response::new(LineBody::new(line, head.framing, idle));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }
}

impl Idle {
    /// Takes a connection that its server has not closed.
    fn take(&self) -> Option<Line> {
        loop {
            let (since, line) = self.state().lines.pop_back()?;
            if since.elapsed() < self.longest && line.is_ready() {
                return Some(line);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(self: &Arc<Self>, line: Line) {
        let mut state = self.state();
        state.lines.push_back((Instant::now(), line));
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
