use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::{Content, Message};
use orchestrator_core::worker::InferenceRequest;

use crate::chat::{Common, Dialect};
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
/// where the vendor's fields ask for more than one answer; and where a parameter is [out of its
/// range](orchestrator_core::request::Sampling::validate).
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
    let common = Common::of(request, model, dialect)?;
    let mut sent = CompletionRequest::new("", prompt);
    sent.model = common.model;
    sent.max_tokens = common.max_tokens;
    sent.temperature = common.temperature;
    sent.top_p = common.top_p;
    sent.stop = common.stop;
    sent.response_format = common.response_format;
    sent.stream = true.into();
    sent.stream_options = common.stream_options;
    sent.extra = common.extra;
    Ok(sent)
}

fn is_text(message: &Message) -> bool {
    message.tool_calls().is_empty() && message.parts().iter().all(|part| matches!(part, Content::Text(_)))
}
