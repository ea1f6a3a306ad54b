use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use serde_json::{Value, json};

use super::kind;
use super::retry_after::retry_after;
use super::said::Said;
use crate::wire::ErrorBody;

/// How much of what the server says goes into the error's message, in characters; its body keeps all of it.
const MESSAGE: usize = 300;

/// Says what a response means that is not the one hoped for.
///
/// | status, or name in the body | kind |
/// |---|---|
/// | 429 | `RateLimited`, with the pause of `Retry-After` or `retry-after-ms` |
/// | 429 `insufficient_quota`, 402 | `Auth`: the account has no means, and waiting brings none |
/// | 503, 529, `overloaded` | `Overloaded` |
/// | 408, other 5xx | `Transient` |
/// | 401, 403 | `Auth` |
/// | 404, 501 | `NotFound` |
/// | a prompt that is too long, by name or in words; 413 | `ContextLength`, with the sizes where they are told |
/// | `content_filter` and the like | `ContentFilter` |
/// | other 4xx | `InvalidRequest` |
/// | a redirect, or a status of success with a body that is none | `Protocol` |
///
/// The body, as far as it is UTF-8, and the status are kept. Keys are not taken out here: [`Client`](crate::client::Client)
/// does that.
#[must_use]
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> WorkerError {
    of_response(status, headers, body, &str::to_owned)
}

/// As [`classify`]; `clean` takes out of a text what must not be told on, before anything is cut off.
pub(crate) fn of_response(status: StatusCode, headers: &HeaderMap, body: &[u8], clean: Clean<'_>) -> WorkerError {
    let said = Said::read(body);
    // A status of success knows nothing of the error in its body.
    let telling = if status.is_success() { said.status } else { Some(status.as_u16()) };
    let kind = kind::of(telling, &said).unwrap_or(Kind::Protocol);
    let error = WorkerError::new(kind, message(Some(status), headers, &clean(&said.message)))
        .with_status(status.as_u16())
        .with_body(clean(&String::from_utf8_lossy(body)));
    match retry_after(headers, SystemTime::now()) {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    }
}

/// Makes of a text what may be shown of it.
type Clean<'a> = &'a dyn Fn(&str) -> String;

/// Says what an event of a stream means that is an error instead of a piece of the answer; `None` where it is no error.
///
/// It is one where it has an `error`, or neither choices nor a usage, but a `detail`, a `message`, or `error` as its `object`
/// or `type`. One that neither repeats a status nor has a name that is known is `Transient`: the server took the request, and
/// failed while it answered.
#[must_use]
pub fn classify_frame(frame: &[u8]) -> Option<WorkerError> {
    of_frame(frame, &str::to_owned)
}

/// As [`classify_frame`]; `clean` as for [`of_response`].
pub(crate) fn of_frame(frame: &[u8], clean: Clean<'_>) -> Option<WorkerError> {
    let body: ErrorBody = serde_json::from_slice(frame).ok()?;
    is_failure(&body).then(|| broken_off(&Said::of_body(&body), frame, clean))
}

/// What the body of a response means that has a status of success, and an `error` all the same.
pub(crate) fn of_success(body: &[u8], clean: Clean<'_>) -> Option<WorkerError> {
    let read: ErrorBody = serde_json::from_slice(body).ok()?;
    read.error.get()?;
    Some(broken_off(&Said::of_body(&read), body, clean))
}

/// What an event means that is said to be an error, whatever is in it.
pub(crate) fn of_named_error(frame: &[u8], clean: Clean<'_>) -> WorkerError {
    broken_off(&Said::read(frame), frame, clean)
}

fn broken_off(said: &Said, frame: &[u8], clean: Clean<'_>) -> WorkerError {
    let kind = kind::of(said.status, said).unwrap_or(Kind::Transient);
    let error = WorkerError::new(kind, message(None, &HeaderMap::new(), &clean(&said.message)));
    let error = error.with_body(clean(&String::from_utf8_lossy(frame)));
    match said.status {
        Some(status) => error.with_status(status),
        None => error,
    }
}

fn is_failure(body: &ErrorBody) -> bool {
    let field = |name: &str| body.extra.get(name).filter(|value| !value.is_null());
    let is_piece =
        field("choices").is_some_and(|choices| *choices != json!([])) || field("usage").is_some_and(Value::is_object);
    let is_told = field("detail").or_else(|| field("message")).is_some();
    let is_named = ["object", "type"].iter().any(|name| field(name).is_some_and(|value| value == "error"));
    body.error.get().is_some() || !is_piece && (is_told || is_named)
}

fn message(status: Option<StatusCode>, headers: &HeaderMap, said: &str) -> String {
    let who = match status {
        Some(status) => format!("the server answered {}", status.as_u16()),
        None => "the server broke its answer off".to_owned(),
    };
    let place = headers.get(http::header::LOCATION).and_then(|place| place.to_str().ok());
    let what = match place {
        Some(place) if status.is_some_and(|status| status.is_redirection()) => format!("it lies at {place}"),
        _ => said.chars().take(MESSAGE).collect(),
    };
    if what.is_empty() { who } else { format!("{who}: {what}") }
}
