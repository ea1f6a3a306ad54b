use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use orchestrator_core::error::{Error, ErrorKind, RefuseReason, WorkerError, WorkerErrorKind};
use serde_json::Value;
use tracing::field::debug;

/// Why a client gets no answer, whatever the words in which its API says so.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    /// The field of the request that is wrong.
    pub(crate) param: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// What is behind it, where that is not for the client.
    cause: Option<Error>,
}

/// What kind of fault it is: decides the status, and the names that the APIs have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The request is not valid.
    Invalid,
    /// The prompt is longer than the model's context.
    ContextLength,
    /// The server withheld the answer for what it says.
    ContentFilter,
    /// No key, or a wrong one.
    Unauthorized,
    /// No such model.
    NoModel,
    /// No such route.
    NoRoute,
    /// The route is there, the method is not.
    NoMethod,
    /// The body took too long to come.
    BodyTimeout,
    /// The body is too long.
    BodyTooLarge,
    /// The client, or the server behind, has used up what it may ask for.
    RateLimited,
    /// More is asked for than can be done.
    Overloaded,
    /// The service ends, or no server is there.
    Unavailable,
    /// The server behind failed.
    BadGateway,
    /// The time for the answer was not enough.
    Timeout,
    /// Ours.
    Internal,
}

impl FaultKind {
    /// Returns the status of a response that says so.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Invalid | Self::ContextLength | Self::ContentFilter => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoModel | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns whether a client is told when to come back.
    pub(crate) const fn is_passing(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded | Self::Unavailable)
    }

    /// Returns whether somebody has to look after it.
    fn is_failure(self) -> bool {
        self.status().is_server_error() && !self.is_passing()
    }
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None, cause: None }
    }

    /// A request whose field `param` is wrong.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(FaultKind::Invalid, message) }
    }

    /// Returns the seconds after which a client should come back, where it should.
    pub(crate) fn retry_seconds(&self) -> Option<u64> {
        let seconds = |after: Duration| after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1);
        self.kind.is_passing().then(|| self.retry_after.map_or(1, seconds))
    }

    /// Tells whoever runs the service what has become of a request, inside its span. Warns of what the service, or a server
    /// behind it, has failed in; refusals in an overload would be as many lines as there are requests.
    ///
    /// Messages are left out, ours and those of servers alike: they may repeat the prompt.
    pub(crate) fn log(&self, what: &'static str) {
        let (fault, status) = (self.kind, self.kind.status().as_u16());
        let cause = self.cause.as_ref();
        let (end, stage) = (cause.map(|error| debug(error.kind())), cause.and_then(Error::stage));
        let field = if let Some(error) = cause { error.field() } else { self.param.as_deref() };
        let upstream = cause.and_then(Error::worker_error).and_then(WorkerError::status);
        if self.kind.is_failure() {
            tracing::warn!(?fault, status, end, stage, field, upstream, "{what}");
        } else {
            tracing::debug!(?fault, status, end, stage, field, upstream, "{what}");
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = kind(&error);
        let of_server = || error.worker_error().filter(|_| kind == FaultKind::Invalid).and_then(WorkerError::body);
        let param = error.field().map(str::to_owned).or_else(|| param(of_server()?));
        Self { kind, message: message(&error, kind), param, retry_after: error.retry_after(), cause: Some(error) }
    }
}

/// The field that a server's refusal names, in OpenAI's form.
fn param(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let named = body.pointer("/error/param").or_else(|| body.get("param"))?;
    named.as_str().filter(|param| !param.is_empty()).map(str::to_owned)
}

fn kind(error: &Error) -> FaultKind {
    use ErrorKind as K;
    use RefuseReason as R;
    match error.kind() {
        K::Refused(R::Invalid) => FaultKind::Invalid,
        K::Stage if error.field().is_some() => FaultKind::Invalid,
        K::Refused(R::RateLimited) => FaultKind::RateLimited,
        K::Refused(R::Draining | R::Unavailable) | K::Cancelled | K::ReaderStalled => FaultKind::Unavailable,
        _ if error.is_timeout() => FaultKind::Timeout,
        K::Refused(_) | K::Shed(_) => FaultKind::Overloaded,
        K::Worker(kind) => of_worker(kind),
        _ => FaultKind::Internal,
    }
}

const fn of_worker(kind: WorkerErrorKind) -> FaultKind {
    use WorkerErrorKind as W;
    match kind {
        W::InvalidRequest => FaultKind::Invalid,
        W::ContextLength { .. } => FaultKind::ContextLength,
        W::ContentFilter => FaultKind::ContentFilter,
        W::NotFound => FaultKind::NoModel,
        W::RateLimited => FaultKind::RateLimited,
        W::Overloaded => FaultKind::Overloaded,
        // A key of ours that the server does not take is no fault of the client's.
        _ => FaultKind::BadGateway,
    }
}

/// What the client is told: what a server said of its request in full, and of everything else what it needs.
fn message(error: &Error, kind: FaultKind) -> String {
    let source = || std::error::Error::source(error).map(ToString::to_string);
    match (error.worker_error(), kind) {
        (Some(_), FaultKind::BadGateway) => "the model server failed".to_owned(),
        (Some(worker), _) => worker.message().to_owned(),
        (None, FaultKind::Invalid) => source().unwrap_or_else(|| error.to_string()),
        (None, FaultKind::Internal) => "something went wrong in the service".to_owned(),
        _ => error.to_string(),
    }
}

/// Marks a response as one that has yet to be put into the words of the client's API.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = self.kind.status();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shall_come_back_is_told_when_in_whole_seconds() {
        let mut fault = Fault::new(FaultKind::Overloaded, "");
        assert_eq!(fault.retry_seconds(), Some(1));
        fault.retry_after = Some(Duration::from_millis(2001));
        assert_eq!(fault.retry_seconds(), Some(3));
        fault.kind = FaultKind::Timeout;
        assert_eq!(fault.retry_seconds(), None);
    }
}
