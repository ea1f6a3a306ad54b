//! From what a server says to the kind of failure.

use orchestrator_core::error::WorkerErrorKind as Kind;

use super::context::too_long;
use super::said::Said;

const FILTERED: &[&str] =
    &["content_filter", "content_policy_violation", "moderation_blocked", "responsibleaipolicyviolation"];

/// Waiting does not help when the account has run dry, and it comes as a 429. It is the account that may not, so it is the
/// kind of a key without rights: not to be tried again here, though perhaps with another worker.
const WITHOUT_MEANS: &[&str] = &["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];

/// TGI says with a 429 that it has no room, and with a 424 that a shard of it failed while it generated.
const OVERLOADED: &[&str] = &["overloaded", "overloaded_error", "unavailable_error", "serviceunavailableerror"];
const TRANSIENT: &[&str] = &[
    "generation",
    "incomplete_generation",
    "server_error",
    "api_error",
    "internalservererror",
    "internal_server_error",
];

const RATE_LIMITED: &[&str] = &["rate_limit_error", "rate_limit_exceeded", "requests", "tokens", "ratelimiterror"];
const AUTH: &[&str] = &["authentication_error", "permission_error", "invalid_api_key", "unauthorizederror"];
const NOT_FOUND: &[&str] = &["not_found_error", "model_not_found", "notfounderror", "not_supported_error"];
const INVALID: &[&str] = &["invalid_request_error", "badrequesterror", "validation"];

/// Decides by the status and the names together; `None` where there is neither.
pub(super) fn of(status: Option<u16>, said: &Said) -> Option<Kind> {
    let telling = |status: u16| matches!(status, 400 | 413 | 422 | 500);
    if status.is_none_or(telling)
        && let Some((prompt_tokens, limit)) = too_long(said)
    {
        return Some(Kind::ContextLength { prompt_tokens, limit });
    }
    // What the status would not say, or would say wrongly.
    if said.moderated || said.is_named(FILTERED) {
        return Some(Kind::ContentFilter);
    }
    if said.is_named(WITHOUT_MEANS) {
        return Some(Kind::Auth);
    }
    if said.is_named(OVERLOADED) {
        return Some(Kind::Overloaded);
    }
    if status == Some(424) && said.is_named(TRANSIENT) {
        return Some(Kind::Transient);
    }
    status.and_then(of_status).or_else(|| of_names(said))
}

/// The status alone.
fn of_status(status: u16) -> Option<Kind> {
    Some(match status {
        401..=403 => Kind::Auth,
        404 => Kind::NotFound,
        408 => Kind::Transient,
        413 => Kind::ContextLength { prompt_tokens: None, limit: None },
        429 => Kind::RateLimited,
        400..500 => Kind::InvalidRequest,
        // What it was not built or started for: no such route, here.
        501 => Kind::NotFound,
        503 | 529 => Kind::Overloaded,
        500..600 => Kind::Transient,
        _ => return None,
    })
}

/// The names alone: an error inside a stream need not repeat a status.
fn of_names(said: &Said) -> Option<Kind> {
    let kinds = [
        (TRANSIENT, Kind::Transient),
        (RATE_LIMITED, Kind::RateLimited),
        (AUTH, Kind::Auth),
        (NOT_FOUND, Kind::NotFound),
        (INVALID, Kind::InvalidRequest),
    ];
    kinds.into_iter().find_map(|(names, kind)| said.is_named(names).then_some(kind))
}
