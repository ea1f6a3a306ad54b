use orchestrator_core::error::{InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::request::Sampling;
use orchestrator_core::worker::InferenceRequest;

use super::{Dialect, Vendor, message};
use crate::wire::{ChatRequest, Field, Float, Stop, StreamOptions};

/// Makes the request for an answer to a conversation; always as a stream.
///
/// `model` is asked for where the request names none. Passages are not sent: they stand in the messages already. Fields of
/// [`Sampling::vendor`] are sent as they are, beside the others; one that has a type in core and is set there is not
/// overwritten, and `stream`, `stream_options` and `messages` cannot be set.
///
/// # Errors
///
/// `InvalidRequest` where the vendor's fields ask for more than one answer, or a parameter is
/// [out of its range](Sampling::validate).
pub fn request(request: &InferenceRequest, model: Option<&str>, dialect: &Dialect) -> Result<ChatRequest, WorkerError> {
    check(&request.sampling)?;
    let Sampling { max_tokens, temperature, top_p, ref stop, seed, .. } = request.sampling;
    let mut sent = ChatRequest::new("", request.messages.iter().map(message::message).collect());
    sent.model = request.model.as_deref().or(model).map(str::to_owned).into();
    let limit: Field<u64> = max_tokens.map(|tokens| tokens.get().into()).into();
    if dialect.max_completion_tokens {
        sent.max_completion_tokens = limit;
    } else {
        sent.max_tokens = limit;
    }
    sent.temperature = temperature.map(float).into();
    sent.top_p = top_p.filter(|part| dialect.whole_top_p || *part < 1.0).map(float).into();
    sent.stop = stops(stop).into();
    if !request.tools.is_empty() {
        sent.tools = request.tools.iter().map(message::tool).collect::<Vec<_>>().into();
    }
    sent.response_format = dialect.response_format(&request.response_format).into();
    sent.stream = true.into();
    sent.stream_options = stream_options(dialect);
    let mut extra = Vendor::of(&request.sampling)?.without(&[
        ("model", sent.model.get().is_some()),
        ("max_tokens", max_tokens.is_some()),
        ("max_completion_tokens", max_tokens.is_some()),
        ("temperature", temperature.is_some()),
        ("top_p", top_p.is_some()),
        ("stop", !stop.is_empty()),
        ("tools", !request.tools.is_empty()),
        ("response_format", sent.response_format.get().is_some()),
        ("seed", seed.is_some()),
    ]);
    extra.extend(seed.map(|seed| (dialect.seed.to_owned(), seed.into())));
    sent.extra = extra;
    Ok(sent)
}

/// What is no number would be sent as `null`, and then as nothing at all.
pub(crate) fn check(sampling: &Sampling) -> Result<(), WorkerError> {
    let refused = |fault: InvalidInput| WorkerError::new(WorkerErrorKind::InvalidRequest, fault.to_string());
    sampling.validate().map_err(refused)
}

/// As short as it was written: `0.2`, and not what is nearest to it in 64 bits.
pub(crate) fn float(value: f32) -> Float {
    value.to_string().parse::<f64>().unwrap_or_else(|_| value.into()).into()
}

pub(crate) fn stops(texts: &[String]) -> Option<Stop> {
    (!texts.is_empty()).then(|| Stop::Texts(texts.to_vec()))
}

pub(crate) fn stream_options(dialect: &Dialect) -> Field<StreamOptions> {
    let options = || StreamOptions { include_usage: true.into(), ..StreamOptions::default() };
    dialect.include_usage.then(options).into()
}
