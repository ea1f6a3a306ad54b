use serde::Serialize;
use utoipa::ToSchema;

use crate::fault::{Fault, FaultKind};

/// A fault as OpenAI's API puts it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Error<'a> {
    #[schema(inline)]
    error: Fields<'a>,
}

#[derive(Serialize, ToSchema)]
struct Fields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(required = true)]
    param: Option<&'a str>,
    #[schema(required = true)]
    code: Option<&'static str>,
}

impl<'a> From<&'a Fault> for Error<'a> {
    fn from(fault: &'a Fault) -> Self {
        let (kind, code) = names(fault.kind);
        Self { error: Fields { message: &fault.message, kind, param: fault.param.as_deref(), code } }
    }
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
