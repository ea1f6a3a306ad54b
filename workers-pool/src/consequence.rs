use orchestrator_core::error::{Phase, WorkerErrorKind};

/// What follows from a failure of a worker, before anything of the answer was handed on.
///
/// | failure | the same worker again | another worker | the worker's fault |
/// |---|---|---|---|
/// | transient, overloaded, stream cut, connecting took too long | yes | yes | yes |
/// | rate limited | yes, when the server says | yes | no: it rests for as long as the server says |
/// | first or next token took too long | only if there is no other | yes | yes |
/// | the whole answer took too long | no | no | no: that depends on the request |
/// | protocol | no | yes | yes |
/// | auth | no | yes: each has its own key | yes |
/// | not found | no | yes: it may have the model | no |
/// | context length | no | one with a longer context | no |
/// | invalid request, content filter | no | no | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Consequence {
    /// Whether the same worker may be asked again.
    pub(crate) again: Again,
    /// Whether another worker may be asked.
    pub(crate) elsewhere: bool,
    /// Whether the worker's circuit breaker counts it.
    pub(crate) fault: bool,
}

/// Whether the worker that failed may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// After a pause.
    Yes,
    /// After a pause, if there is nobody else.
    Alone,
    /// Never.
    No,
}

impl Consequence {
    /// Returns what follows from a failure of this kind.
    pub(crate) const fn of(kind: WorkerErrorKind) -> Self {
        use WorkerErrorKind as K;
        let (again, elsewhere, fault) = match kind {
            K::Transient | K::Overloaded | K::StreamCut | K::Timeout(Phase::Connect) => (Again::Yes, true, true),
            K::RateLimited => (Again::Yes, true, false),
            K::Timeout(Phase::FirstToken | Phase::BetweenTokens) => (Again::Alone, true, true),
            K::Protocol | K::Auth => (Again::No, true, true),
            K::NotFound | K::ContextLength { .. } => (Again::No, true, false),
            // Also what later versions add: nothing is known of it.
            _ => (Again::No, false, false),
        };
        Self { again, elsewhere, fault }
    }
}
