use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;

use crate::answer::{Events, Wording};

/// A response of one JSON object.
pub(crate) fn object(value: impl Serialize) -> Response {
    let body = serde_json::to_vec(&value).expect("objects with text keys are JSON, and memory takes all of it");
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response that is streamed as events.
pub(super) fn events<W: Wording>(events: Events<W>) -> Response {
    let mut response = Response::new(Body::new(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
