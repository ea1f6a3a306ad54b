use serde_json::{Value, json};

use crate::fault::{Fault, FaultKind};

/// Puts a fault as OpenAI's API does.
pub(crate) fn body(fault: &Fault) -> Value {
    let (kind, code) = names(fault.kind);
    json!({"error": {"message": fault.message, "type": kind, "param": fault.param, "code": code}})
}

/// The type and the code by which clients tell faults apart.
const fn names(kind: FaultKind) -> (&'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    match kind {
        FaultKind::Invalid | FaultKind::NoRoute | FaultKind::NoMethod => (INVALID, None),
        FaultKind::BodyTimeout => (INVALID, Some("body_timeout")),
        FaultKind::BodyTooLarge => (INVALID, Some("body_too_large")),
        FaultKind::ContextLength => (INVALID, Some("context_length_exceeded")),
        FaultKind::ContentFilter => (INVALID, Some("content_filter")),
        FaultKind::Unauthorized => (INVALID, Some("invalid_api_key")),
        FaultKind::NoModel => (INVALID, Some("model_not_found")),
        FaultKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        FaultKind::Overloaded => ("server_error", Some("overloaded")),
        FaultKind::Unavailable => ("server_error", Some("unavailable")),
        FaultKind::BadGateway => ("server_error", Some("upstream_failed")),
        FaultKind::Timeout => ("server_error", Some("timeout")),
        FaultKind::Internal => ("server_error", None),
    }
}
