use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::Content;
use orchestrator_core::worker::{InferenceRequest, Prefix};
use workers_openai::chat::{self, Dialect};
use workers_openai::client::Client;

use crate::wire::{Extra, Prompt, PromptPart, TemplateRequest, TemplateResponse};

/// Fields of a vendor that the server's template knows.
const OF_TEMPLATE: &[&str] = &["chat_template_kwargs", "reasoning_format", "add_generation_prompt"];

/// How templates open what a model thinks, and how it closes that.
const REASONING: &[(&str, &str)] =
    &[("<think>", "</think>"), ("<seed:think>", "</seed:think>"), ("[THINK]", "[/THINK]")];

/// Makes the prompt: the raw one, or the messages in the model's template, and what there is of the answer already.
///
/// Ids of the answer's tokens go behind the text as they are. The server makes tokens of the text by itself, as it does for a
/// chat: with the mark of the beginning, and with the names of special tokens read as these.
///
/// # Errors
///
/// `InvalidRequest` for pictures, and for a text to go on with that the template would make part of what the model thinks.
pub(crate) async fn prompt(client: &Client, request: &InferenceRequest) -> Result<Prompt, WorkerError> {
    let text = match request.raw_prompt() {
        Some(text) => text.into_owned(),
        None => {
            let text = templated(client, request).await?;
            refuse_as_reasoning(&text, request.prefix.as_ref())?;
            text
        }
    };
    Ok(match &request.prefix {
        None => Prompt::Text(text),
        Some(prefix) => behind(text, prefix),
    })
}

/// An answer's text does not tell what the model thought before it.
fn refuse_as_reasoning(prompt: &str, prefix: Option<&Prefix>) -> Result<(), WorkerError> {
    let Some(begun) = prefix.filter(|prefix| prefix.token_ids.is_empty()) else { return Ok(()) };
    let prompt = prompt.trim_end();
    let mut opened = REASONING.iter().filter(|(open, _)| prompt.ends_with(open));
    if opened.any(|(_, close)| !begun.text.contains(close)) {
        let what = "the template has the model think first: an answer can be gone on with by its token ids only";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    Ok(())
}

fn behind(text: String, prefix: &Prefix) -> Prompt {
    if prefix.token_ids.is_empty() {
        return Prompt::Text(text + &prefix.text);
    }
    let ids = prefix.token_ids.iter().map(|id| PromptPart::Token(i64::from(*id)));
    Prompt::Parts(std::iter::once(PromptPart::Text(text)).chain(ids).collect())
}

async fn templated(client: &Client, request: &InferenceRequest) -> Result<String, WorkerError> {
    let mut parts = request.messages.iter().flat_map(|message| message.parts());
    if parts.any(|part| !matches!(part, Content::Text(_))) {
        let what = "messages must be text on the native route; pictures need the chat route";
        return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
    }
    let messages = chat::request(request, None, &Dialect::default())?.messages;
    let vendor = &request.sampling.vendor;
    let known = OF_TEMPLATE.iter().filter_map(|name| Some(((*name).to_owned(), vendor.get(*name)?.clone())));
    let extra: Extra = known.collect();
    let template = TemplateRequest { messages: messages.into(), extra };
    let answer: TemplateResponse = client.post_json("/apply-template", &template).await?;
    answer.prompt.into_option().ok_or_else(|| {
        WorkerError::new(WorkerErrorKind::Protocol, "the server did not say what prompt the messages make")
    })
}
