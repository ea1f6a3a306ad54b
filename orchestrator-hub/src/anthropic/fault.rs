use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fault::{Fault, FaultKind};
use crate::openapi::word;

/// A fault as Anthropic's API puts it, which has no place for the field that is wrong but the message.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageError)]
pub(crate) struct Error<'a> {
    #[serde(rename = "type")]
    #[schema(schema_with = error)]
    kind: &'static str,
    #[schema(inline)]
    error: Fields,
    /// Not in a stream.
    #[schema(value_type = String)]
    request_id: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct Fields {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

fn error() -> Object {
    word("error")
}

impl<'a> Error<'a> {
    pub(crate) fn new(fault: &Fault, request_id: Option<&'a str>) -> Self {
        let message = match &fault.param {
            Some(param) if !fault.message.contains(param.as_str()) => format!("{param}: {}", fault.message),
            _ => fault.message.clone(),
        };
        Self { kind: "error", error: Fields { kind: name(fault.kind), message }, request_id }
    }
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
