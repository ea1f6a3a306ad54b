use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::BoxError;

/// The phase of a call in which a time limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Reaching the server.
    Connect,
    /// Waiting for the first token: queueing at the server and prefill.
    FirstToken,
    /// Waiting for the next token.
    BetweenTokens,
    /// The call as a whole.
    Total,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "to connect",
            Self::FirstToken => "for the first token",
            Self::BetweenTokens => "for the next token",
            Self::Total => "for the whole answer",
        }
    }
}

/// What kind of failure a [`WorkerError`] is; decides what may be retried, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerErrorKind {
    /// The server or the way to it is disturbed; the same request may succeed in a moment.
    Transient,
    /// The server asks for fewer requests.
    RateLimited,
    /// The server has no room.
    Overloaded,
    /// The server does not accept the request as it is; it never will.
    InvalidRequest,
    /// The prompt is longer than the model's context.
    ContextLength {
        /// Tokens of the prompt, where the server told.
        prompt_tokens: Option<u64>,
        /// Tokens that fit, where the server told.
        limit: Option<u64>,
    },
    /// The server withheld the answer because of what it says.
    ContentFilter,
    /// The key is missing, wrong or without rights.
    Auth,
    /// No such model or route.
    NotFound,
    /// A time limit passed.
    Timeout(Phase),
    /// The stream ended without its terminal event.
    StreamCut,
    /// The server, or the worker, said something that the protocol does not allow.
    Protocol,
}

/// A failure of a model server or a worker, classified where it happened.
///
/// Cheap to clone, so that one failure can be told to every caller that it concerns.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::error::{WorkerError, WorkerErrorKind};
///
/// let error = WorkerError::new(WorkerErrorKind::RateLimited, "429 from the server")
///     .with_status(429)
///     .with_retry_after(Duration::from_secs(2));
/// assert!(error.is_transient());
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
/// ```
#[derive(Clone)]
pub struct WorkerError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: WorkerErrorKind,
    message: String,
    status: Option<u16>,
    body: Option<String>,
    retry_after: Option<Duration>,
    unsent: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl WorkerError {
    /// Makes an error of a kind; the message follows "worker failed: ".
    pub fn new(kind: WorkerErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            status: None,
            body: None,
            retry_after: None,
            unsent: false,
            source: None,
        }))
    }

    /// Makes the error of a time limit that passed.
    #[must_use]
    pub fn timeout(phase: Phase, limit: Duration) -> Self {
        Self::new(WorkerErrorKind::Timeout(phase), format!("waited {limit:?} {}", phase.as_str()))
    }

    /// Makes the error of a stream that ended without its terminal event.
    #[must_use]
    pub fn stream_cut() -> Self {
        Self::new(WorkerErrorKind::StreamCut, "the stream ended without its terminal event")
    }

    /// Says it in other words; what else is known of it stays.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        let message = message.into();
        self.edit(|inner| inner.message = message)
    }

    /// Keeps the HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.edit(|inner| inner.status = Some(status))
    }

    /// Keeps the body that came with the failure.
    #[must_use]
    pub fn with_body(self, body: impl Into<String>) -> Self {
        let body = body.into();
        self.edit(|inner| inner.body = Some(body))
    }

    /// Keeps the pause that the server asked for.
    #[must_use]
    pub fn with_retry_after(self, pause: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(pause))
    }

    /// Says that no server was asked: whoever stands before it knows that it takes nothing now. So it is no attempt.
    #[must_use]
    pub fn unsent(self) -> Self {
        self.edit(|inner| inner.unsent = true)
    }

    /// Keeps the error behind this one.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        let source = Arc::from(source.into());
        self.edit(|inner| inner.source = Some(source))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> WorkerErrorKind {
        self.0.kind
    }

    /// Returns what was said, without "worker failed: ".
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns whether the same request may succeed later, or elsewhere.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use WorkerErrorKind as K;
        matches!(self.0.kind, K::Transient | K::RateLimited | K::Overloaded | K::Timeout(_) | K::StreamCut)
    }

    /// Returns the pause that the server asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns whether no server was asked.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.0.unsent
    }

    /// Returns the HTTP status, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the body that came with the failure.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.0.body.as_deref()
    }
}

impl fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker failed: {}", self.0.message)
    }
}

impl std::error::Error for WorkerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        use WorkerErrorKind as K;
        let transient = [K::Transient, K::RateLimited, K::Overloaded, K::Timeout(Phase::Total), K::StreamCut];
        let lasting = [
            K::InvalidRequest,
            K::ContextLength { prompt_tokens: Some(3001), limit: Some(2048) },
            K::ContentFilter,
            K::Auth,
            K::NotFound,
            K::Protocol,
        ];
        assert!(transient.iter().all(|k| WorkerError::new(*k, "x").is_transient()));
        assert!(!lasting.iter().any(|k| WorkerError::new(*k, "x").is_transient()));
    }

    #[test]
    fn what_the_server_said_is_kept() {
        let io = std::io::Error::other("reset by peer");
        let error =
            WorkerError::new(WorkerErrorKind::Overloaded, "503").with_status(503).with_body("{}").with_source(io);
        let copy = error.clone().with_message("503, twice");
        assert_eq!((error.message(), copy.message()), ("503", "503, twice"));
        assert_eq!((copy.kind(), copy.status(), copy.body()), (WorkerErrorKind::Overloaded, Some(503), Some("{}")));
        assert_eq!(std::error::Error::source(&copy).expect("kept").to_string(), "reset by peer");
    }
}
