//! What went wrong on the way, before there was an answer that could be classified.

use std::error::Error;
use std::io;
use std::time::Duration;

use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind as Kind};

use super::line::LineError;

/// Whether the answer had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    No,
    Yes,
}

/// Classifies an error of the HTTP client; `connect` is the limit for connecting, where it is ours.
pub(super) fn failed(error: reqwest::Error, begun: Begun, connect: Option<Duration>) -> WorkerError {
    if error.is_timeout() {
        return timed_out(error, connect);
    }
    let (kind, what) = if speaks_otherwise(&error) {
        (Kind::Protocol, NO_HTTP)
    } else if begun == Begun::Yes {
        (Kind::StreamCut, CUT)
    } else if error.is_connect() {
        (Kind::Transient, UNREACHABLE)
    } else if error.is_builder() {
        (Kind::InvalidRequest, "the request cannot be sent")
    } else {
        (Kind::Transient, BROKEN)
    };
    // The URL is the user's, and may hold what is not to be logged.
    WorkerError::new(kind, what).with_source(error.without_url())
}

/// Classifies why a request got no response over one of our own connections.
pub(super) fn unanswered(error: LineError) -> WorkerError {
    match error {
        LineError::ConnectTimeout(limit) => WorkerError::timeout(Phase::Connect, limit),
        LineError::Connect(error) => WorkerError::new(Kind::Transient, UNREACHABLE).with_source(error),
        LineError::Broken(error) if speaks_otherwise(&error) => {
            WorkerError::new(Kind::Protocol, NO_HTTP).with_source(error)
        }
        LineError::Broken(error) => WorkerError::new(Kind::Transient, BROKEN).with_source(error),
    }
}

/// Classifies why the body of a response over one of our own connections has no end.
pub(super) fn cut(error: io::Error) -> WorkerError {
    let (kind, what) = if speaks_otherwise(&error) { (Kind::Protocol, NO_HTTP) } else { (Kind::StreamCut, CUT) };
    WorkerError::new(kind, what).with_source(error)
}

const CUT: &str = "the connection broke in the middle of the answer";
const NO_HTTP: &str = "the server does not speak HTTP as it should";
const UNREACHABLE: &str = "the server cannot be reached";
const BROKEN: &str = "the connection broke before an answer came";

fn timed_out(error: reqwest::Error, connect: Option<Duration>) -> WorkerError {
    let limit = |phase, what: &str| WorkerError::new(Kind::Timeout(phase), what);
    let timeout = match (error.is_connect(), connect) {
        (true, Some(connect)) => WorkerError::timeout(Phase::Connect, connect),
        (true, None) => limit(Phase::Connect, "the HTTP client's time to connect passed"),
        (false, _) => limit(Phase::Total, "the HTTP client's own time limit passed"),
    };
    timeout.with_source(error.without_url())
}

/// Whether what came is not HTTP, or not the TLS of a server that may be trusted: it will not be next time either.
fn speaks_otherwise(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
    causes.any(|cause| {
        let http = cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_parse());
        let bytes = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        http || matches!(bytes, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
    })
}
