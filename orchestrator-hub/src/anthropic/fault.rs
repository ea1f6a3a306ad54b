use http::StatusCode;
use serde_json::{Value, json};

use crate::fault::{Fault, FaultKind};

/// Puts a fault as Anthropic's API does, which has no place for the field that is wrong but the message.
pub(crate) fn body(fault: &Fault, request_id: Option<&str>) -> Value {
    let message = match &fault.param {
        Some(param) if !fault.message.contains(param.as_str()) => format!("{param}: {}", fault.message),
        _ => fault.message.clone(),
    };
    json!({"type": "error", "error": {"type": name(fault.kind), "message": message}, "request_id": request_id})
}

/// Returns the status that Anthropic's API has for it.
pub(crate) fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Overloaded => StatusCode::from_u16(529).expect("529 lies between 100 and 999"),
        _ => kind.status(),
    }
}

/// The type by which clients tell faults apart.
const fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Invalid | FaultKind::ContextLength | FaultKind::ContentFilter | FaultKind::NoMethod => {
            "invalid_request_error"
        }
        FaultKind::Unauthorized => "authentication_error",
        FaultKind::NoModel | FaultKind::NoRoute => "not_found_error",
        FaultKind::BodyTooLarge => "request_too_large",
        FaultKind::RateLimited => "rate_limit_error",
        FaultKind::Overloaded => "overloaded_error",
        FaultKind::BodyTimeout | FaultKind::Timeout => "timeout_error",
        FaultKind::Unavailable | FaultKind::BadGateway | FaultKind::Internal => "api_error",
    }
}
