//! The bytes of a prompt by which the next turn of its session is known to go on with it.

use workers_openai::wire::ChatRequest;

use crate::wire::{CompletionRequest, Extra, Prompt, PromptPart};

/// Returns a chat without its end, so that it is the beginning of the same chat with more messages.
pub(super) fn chat(body: &ChatRequest, vendor: &Extra) -> Vec<u8> {
    let told = (&body.tools, vendor.get("chat_template_kwargs"), &body.messages);
    let mut bytes = serde_json::to_vec(&told).unwrap_or_default();
    bytes.truncate(bytes.len().saturating_sub("]]".len()));
    bytes
}

/// Returns the text that a prompt begins with.
pub(super) fn completion(body: &CompletionRequest) -> Vec<u8> {
    let text = match body.prompt.get() {
        Some(Prompt::Text(text)) => Some(text),
        Some(Prompt::Parts(parts)) => parts.first().and_then(|part| match part {
            PromptPart::Text(text) => Some(text),
            PromptPart::Token(_) => None,
        }),
        Some(Prompt::Other(_)) | None => None,
    };
    text.map(|text| text.clone().into_bytes()).unwrap_or_default()
}
