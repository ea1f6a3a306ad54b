use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::Content;
use orchestrator_core::worker::{InferenceRequest, Prefix};
use workers_openai::chat::{self, Dialect};
use workers_openai::client::Client;

use crate::wire::{Extra, Prompt, PromptPart, TemplateRequest, TemplateResponse};

/// Fields of a vendor that the server's template knows.
const OF_TEMPLATE: &[&str] = &["chat_template_kwargs", "reasoning_format", "add_generation_prompt"];

/// Makes the prompt: the raw one, or the messages in the model's template, and what there is of the answer already.
///
/// Ids of the answer's tokens go behind the text as they are. The server makes tokens of the text by itself, as it does for a
/// chat: with the mark of the beginning, and with the names of special tokens read as these.
pub(crate) async fn prompt(client: &Client, request: &InferenceRequest) -> Result<Prompt, WorkerError> {
    let text = match request.raw_prompt() {
        Some(text) => text.into_owned(),
        None => templated(client, request).await?,
    };
    Ok(match &request.prefix {
        None => Prompt::Text(text),
        Some(prefix) => behind(text, prefix),
    })
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
