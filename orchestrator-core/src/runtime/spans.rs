use tracing::{Level, Span, field};

use crate::error::ErrorKind;
use crate::runtime::cell::{Cell, Ending, lock};
use crate::token::Finish;

/// Whether anybody listens; one load where nobody does.
pub(crate) fn enabled() -> bool {
    tracing::level_enabled!(Level::ERROR)
}

/// Opens the span of a request. Where spans of this crate are not wanted, the caller's takes its place: so what is told inside
/// of the pipeline, in whatever task, still lies in the span around the request.
pub(crate) fn open(cell: &Cell) {
    let span = tracing::info_span!(
        "request",
        pipeline = &*cell.shared.name,
        id = cell.id,
        session = cell.options.session.as_deref(),
        tenant = cell.options.tenant.as_deref(),
        priority = cell.options.priority.as_str(),
        outcome = field::Empty,
        error = field::Empty,
        gen_ai.operation.name = "chat",
        gen_ai.usage.input_tokens = field::Empty,
        gen_ai.usage.output_tokens = field::Empty,
        gen_ai.response.finish_reasons = field::Empty,
    );
    *lock(&cell.extra().span) = Some(or(span, Span::current));
}

fn or(span: Span, other: impl FnOnce() -> Span) -> Span {
    if span.is_disabled() { other() } else { span }
}

/// Records how the request ended; the span closes when it is dropped.
pub(crate) fn close(span: &Span, ending: &Ending, finish: Option<&Finish>) {
    let (outcome, kind): (_, Option<ErrorKind>) = match ending {
        Ending::Answered => ("answered", None),
        Ending::Failed(error) => ("failed", Some(error.kind())),
        Ending::Shed(_, reason) => ("shed", Some(ErrorKind::Shed(*reason))),
        Ending::Cancelled => ("cancelled", None),
        Ending::Stalled => ("cancelled", Some(ErrorKind::ReaderStalled)),
        Ending::Refused(reason) => ("refused", Some(ErrorKind::Refused(*reason))),
        Ending::Withdrawn => ("withdrawn", None),
    };
    span.record("outcome", outcome);
    if let Some(kind) = kind {
        span.record("error", field::debug(kind));
    }
    if let Some(finish) = finish {
        span.record("gen_ai.usage.input_tokens", finish.usage.prompt_tokens);
        span.record("gen_ai.usage.output_tokens", finish.usage.completion_tokens);
        span.record("gen_ai.response.finish_reasons", finish.reason.as_str());
    }
}

/// Opens the span of a stage below its request's, in whose place it is that where stages have none.
///
/// A span's name is fixed where it is written, so the stages that every pipeline has are named one by one; any other
/// is a `stage` with its name as a field.
pub(crate) fn stage(cell: &Cell, name: &str) -> Span {
    let request = cell.extra_if_any().and_then(|extra| lock(&extra.span).clone()).unwrap_or_else(Span::none);
    let parent = request.id();
    // A second stage of a name has a number behind it.
    let kind = match name.rsplit_once('-') {
        Some((kind, number)) if number.bytes().all(|b| b.is_ascii_digit()) => kind,
        _ => name,
    };
    let span = match kind {
        "rag" => tracing::info_span!(parent: parent, "rag"),
        "assemble" => tracing::info_span!(parent: parent, "assemble"),
        // Wrappers around a worker say here in which state its circuit breaker was, if it was not closed.
        "infer" => tracing::info_span!(parent: parent, "infer", breaker = field::Empty),
        "post" => tracing::info_span!(parent: parent, "post"),
        "stream" => tracing::info_span!(parent: parent, "stream"),
        _ => tracing::info_span!(parent: parent, "stage", name),
    };
    or(span, || request)
}
