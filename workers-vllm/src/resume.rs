//! Going on with an answer that another call began.

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::{Content, ResponseFormat};
use orchestrator_core::worker::{InferenceRequest, Prefix};
use serde_json::Value;
use workers_openai::chat::{self, Dialect};
use workers_openai::wire::{ChatMessage, ChatRequest, Content as Sent, Extra, Field, Part, Role};

use crate::tokenize::TokenizeRequest;

/// Fields of a vendor's by which the answer has to have a form: half of it cannot be gone on with, since the server begins the
/// form anew.
const FORMS: &[&str] = &[
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "response_format",
    "structured_outputs",
    "tools",
];

/// Fields of a vendor's that say how the model's template writes the conversation: they belong to whoever writes it.
const OF_TEMPLATE: &[&str] =
    &["add_generation_prompt", "chat_template", "chat_template_kwargs", "continue_final_message"];

/// Whether marks such as that of the beginning are added: a matter of any prompt.
const MARKS: &str = "add_special_tokens";

/// Returns what there is of the answer, where there is any.
///
/// # Errors
///
/// `InvalidRequest` where it cannot be gone on with.
pub(crate) fn prefix(request: &InferenceRequest) -> Result<Option<&Prefix>, WorkerError> {
    let begun = |prefix: &&Prefix| !prefix.text.is_empty() || !prefix.token_ids.is_empty();
    let Some(prefix) = request.prefix.as_ref().filter(begun) else { return Ok(None) };
    let formed = FORMS.iter().any(|field| request.sampling.vendor.contains_key(*field));
    if formed || !request.tools.is_empty() || request.response_format != ResponseFormat::Text {
        let what = "an answer with tools or of a given form cannot be gone on with";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    if prefix.text.is_empty() && !request.raw {
        let what = "an answer that has no text yet may still be reasoning, and cannot be gone on with";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    Ok(Some(prefix))
}

/// Returns whether the prompt can be told by the ids of its tokens: pictures have none.
pub(crate) fn has_ids(request: &InferenceRequest) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| message.parts());
    parts.all(|part| matches!(part, Content::Text(_)))
}

/// Asks for the tokens of the prompt, up to where the answer begins.
pub(crate) fn tokenize(request: &InferenceRequest, model: Option<&str>) -> Result<TokenizeRequest, WorkerError> {
    let ChatRequest { model, messages, mut extra, .. } = chat::request(request, model, &Dialect::default())?;
    if let Some(prompt) = request.raw_prompt() {
        extra.retain(|field, _| field == MARKS);
        return Ok(TokenizeRequest { model, prompt: prompt.into_owned().into(), extra, ..TokenizeRequest::default() });
    }
    extra.retain(|field, _| field == MARKS || OF_TEMPLATE.contains(&field.as_str()));
    // Unless the caller has begun the answer, or says otherwise.
    let opening = !is_begun(&extra);
    let opening = if extra.contains_key("add_generation_prompt") { Field::Absent } else { opening.into() };
    Ok(TokenizeRequest {
        model,
        messages: messages.into(),
        add_generation_prompt: opening,
        extra,
        ..TokenizeRequest::default()
    })
}

/// Takes out what a request without a template does not know.
pub(crate) fn without_template(extra: &mut Extra) {
    extra.retain(|field, _| !OF_TEMPLATE.contains(&field.as_str()));
}

/// Has the model go on with the last message, which is what there is of the answer.
///
/// The caller may have begun the answer, too: then its message is the last, and what there is comes behind it.
pub(crate) fn with_text(chat: &mut ChatRequest, prefix: &Prefix) {
    let before = if is_begun(&chat.extra) { chat.messages.pop() } else { None };
    let mut last = before.unwrap_or_else(|| ChatMessage::new(Role::Assistant));
    last.content = match last.content {
        Field::Value(Sent::Text(text)) => Sent::Text(text + &prefix.text).into(),
        Field::Value(Sent::Parts(mut parts)) => {
            parts.push(Part::text(&prefix.text));
            Sent::Parts(parts).into()
        }
        _ => Sent::Text(prefix.text.clone()).into(),
    };
    chat.messages.push(last);
    chat.extra.insert("continue_final_message".to_owned(), true.into());
    chat.extra.insert("add_generation_prompt".to_owned(), false.into());
}

/// Returns whether the last message is the beginning of the answer.
fn is_begun(vendor: &Extra) -> bool {
    vendor.get("continue_final_message").and_then(Value::as_bool) == Some(true)
}
