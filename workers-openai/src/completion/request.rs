use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::{Content, Message, Sampling};
use orchestrator_core::worker::InferenceRequest;

use crate::chat::{Dialect, Vendor, check, float, stops, stream_options};
use crate::wire::{CompletionRequest, Prompt};

/// Makes the request to go on with `prompt`: the request's own [`raw_prompt`](InferenceRequest::raw_prompt), or the ids of its
/// tokens where a worker goes on with an answer; always as a stream.
///
/// Model and vendor's fields are treated as in [`chat::request`](crate::chat::request); `prompt` cannot be set by a vendor's
/// field.
///
/// # Errors
///
/// `InvalidRequest` where there are tools, which a text without a chat cannot call, or a raw prompt holds pictures or calls;
/// where the vendor's fields ask for more than one answer; and where a parameter is [out of its range](Sampling::validate).
pub fn request(
    request: &InferenceRequest,
    prompt: Prompt,
    model: Option<&str>,
    dialect: &Dialect,
) -> Result<CompletionRequest, WorkerError> {
    if !request.tools.is_empty() {
        let what = "`tools` need a conversation, and the prompt is raw";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    if request.raw && !request.messages.iter().all(is_text) {
        let what = "`messages` hold pictures or calls, and the prompt is raw";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    check(&request.sampling)?;
    let Sampling { max_tokens, temperature, top_p, ref stop, seed, .. } = request.sampling;
    let mut sent = CompletionRequest::new("", prompt);
    sent.model = request.model.as_deref().or(model).map(str::to_owned).into();
    sent.max_tokens = max_tokens.map(|tokens| u64::from(tokens.get())).into();
    sent.temperature = temperature.map(float).into();
    sent.top_p = top_p.filter(|part| dialect.whole_top_p || *part < 1.0).map(float).into();
    sent.stop = stops(stop).into();
    sent.response_format = dialect.response_format(&request.response_format).into();
    sent.stream = true.into();
    sent.stream_options = stream_options(dialect);
    let mut extra = Vendor::of(&request.sampling)?.without(&[
        ("model", sent.model.get().is_some()),
        ("max_tokens", max_tokens.is_some()),
        ("temperature", temperature.is_some()),
        ("top_p", top_p.is_some()),
        ("stop", !stop.is_empty()),
        ("response_format", sent.response_format.get().is_some()),
        ("seed", seed.is_some()),
    ]);
    extra.extend(seed.map(|seed| (dialect.seed.to_owned(), seed.into())));
    sent.extra = extra;
    Ok(sent)
}

fn is_text(message: &Message) -> bool {
    message.tool_calls().is_empty() && message.parts().iter().all(|part| matches!(part, Content::Text(_)))
}
