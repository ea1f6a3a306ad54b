use orchestrator_core::error::{InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::request::Sampling;
use orchestrator_core::worker::InferenceRequest;

use super::vendor::Vendor;
use super::{Dialect, message};
use crate::wire::{ChatRequest, Extra, Field, Float, ResponseFormat, Stop, StreamOptions};

/// Makes the request for an answer to a conversation; always as a stream.
///
/// `model` is asked for where the request names none. Passages are not sent: they stand in the messages already. Fields of
/// [`Sampling::vendor`] are sent as they are, beside the others; one that has a type in core and is set there is not
/// overwritten, except for `tools`, where the vendor's form may say more of the same tools; and `stream`, `stream_options` and
/// `messages` cannot be set.
///
/// # Errors
///
/// `InvalidRequest` where the vendor's fields ask for more than one answer, or a parameter is
/// [out of its range](Sampling::validate).
pub fn request(request: &InferenceRequest, model: Option<&str>, dialect: &Dialect) -> Result<ChatRequest, WorkerError> {
    let common = Common::of(request, model, dialect)?;
    let mut sent = ChatRequest::new("", request.messages.iter().map(message::message).collect());
    let limit = if dialect.max_completion_tokens { &mut sent.max_completion_tokens } else { &mut sent.max_tokens };
    *limit = common.max_tokens;
    sent.model = common.model;
    sent.temperature = common.temperature;
    sent.top_p = common.top_p;
    sent.stop = common.stop;
    if !request.tools.is_empty() && !common.extra.contains_key("tools") {
        sent.tools = request.tools.iter().map(message::tool).collect::<Vec<_>>().into();
    }
    sent.response_format = common.response_format;
    sent.stream = true.into();
    sent.stream_options = common.stream_options;
    sent.extra = common.extra;
    Ok(sent)
}

/// What both routes say of a request, in the same words.
pub(crate) struct Common {
    pub(crate) model: Field<String>,
    pub(crate) max_tokens: Field<u64>,
    pub(crate) temperature: Field<Float>,
    pub(crate) top_p: Field<Float>,
    pub(crate) stop: Field<Stop>,
    pub(crate) response_format: Field<ResponseFormat>,
    pub(crate) stream_options: Field<StreamOptions>,
    /// The vendor's fields, and the seed by the name that it has there.
    pub(crate) extra: Extra,
}

impl Common {
    pub(crate) fn of(request: &InferenceRequest, model: Option<&str>, dialect: &Dialect) -> Result<Self, WorkerError> {
        check(&request.sampling)?;
        let Sampling { max_tokens, temperature, top_p, ref stop, seed, .. } = request.sampling;
        let model = request.model.as_deref().or(model).map(str::to_owned);
        let response_format = dialect.response_format(&request.response_format);
        let mut extra = Vendor::of(&request.sampling)?.without(&[
            ("model", model.is_some()),
            ("max_tokens", max_tokens.is_some()),
            ("max_completion_tokens", max_tokens.is_some()),
            ("temperature", temperature.is_some()),
            ("top_p", top_p.is_some()),
            ("stop", !stop.is_empty()),
            ("response_format", response_format.is_some()),
            ("seed", seed.is_some()),
        ]);
        extra.extend(seed.map(|seed| (dialect.seed.to_owned(), seed.into())));
        Ok(Self {
            model: model.into(),
            max_tokens: max_tokens.map(|tokens| u64::from(tokens.get())).into(),
            temperature: temperature.map(float).into(),
            top_p: top_p.filter(|part| dialect.whole_top_p || *part < 1.0).map(float).into(),
            stop: stops(stop).into(),
            response_format: response_format.into(),
            stream_options: stream_options(dialect),
            extra,
        })
    }
}

/// What is no number would be sent as `null`, and then as nothing at all.
fn check(sampling: &Sampling) -> Result<(), WorkerError> {
    let refused = |fault: InvalidInput| WorkerError::new(WorkerErrorKind::InvalidRequest, fault.to_string());
    sampling.validate().map_err(refused)
}

/// As short as it was written: `0.2`, and not what is nearest to it in 64 bits.
fn float(value: f32) -> Float {
    value.to_string().parse::<f64>().unwrap_or_else(|_| value.into()).into()
}

fn stops(texts: &[String]) -> Option<Stop> {
    (!texts.is_empty()).then(|| Stop::Texts(texts.to_vec()))
}

fn stream_options(dialect: &Dialect) -> Field<StreamOptions> {
    let options = || StreamOptions { include_usage: true.into(), ..StreamOptions::default() };
    dialect.include_usage.then(options).into()
}
