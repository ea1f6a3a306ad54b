use std::num::NonZeroU32;

use orchestrator_core::request::{self, Image, Message, PromptRequest, ResponseFormat, Sampling, ToolCall};
use serde_json::{Map, Value};

use super::body::{Block, Body, Content, Format, OutputConfig, Part, Plain, Role, Source, Turn};
use crate::fault::Fault;

/// What would have to be done by Anthropic's own servers, and changes the answer.
const REFUSED: [&str; 3] = ["container", "context_management", "mcp_servers"];

/// What changes no answer, and what no other server would understand.
const PASSED_OVER: [&str; 3] = ["cache_control", "inference_geo", "service_tier"];

impl Body {
    /// Makes of it what a pipeline is submitted with; the options are not set.
    ///
    /// # Errors
    ///
    /// Names the field that is wrong.
    pub(super) fn into_prompt(mut self) -> Result<PromptRequest, Fault> {
        if self.messages.is_empty() {
            return Err(Fault::invalid("messages", "`messages` must hold at least one message"));
        }
        let mut messages = Vec::new();
        if let Some(system) = self.system.take() {
            messages.push(Message::system("").with_parts(parts(system)));
        }
        for (place, turn) in std::mem::take(&mut self.messages).into_iter().enumerate() {
            Reading::of(turn, place)?.into_messages(&mut messages);
        }
        let mut prompt = PromptRequest::from_messages(messages);
        for (place, tool) in self.tools.take().unwrap_or_default().into_iter().enumerate() {
            prompt = prompt.tool(tool.read(place)?);
        }
        if let Some(OutputConfig { format: Some(Format::JsonSchema { schema }) }) = self.output_config.take() {
            prompt = prompt.response_format(ResponseFormat::JsonSchema { name: "answer".to_owned(), schema });
        }
        Ok(prompt.sampling(self.into_sampling()?))
    }

    fn into_sampling(self) -> Result<Sampling, Fault> {
        let mut sampling = Sampling::default();
        let most = u32::try_from(self.max_tokens).ok().and_then(NonZeroU32::new);
        let out_of_range = || Fault::invalid("max_tokens", "`max_tokens` must be at least 1, and less than 2^32");
        sampling.max_tokens = Some(most.ok_or_else(out_of_range)?);
        sampling.temperature = self.temperature;
        sampling.top_p = self.top_p;
        sampling.stop = self.stop_sequences.unwrap_or_default();
        sampling.vendor = own_fields(self.vendor)?;
        sampling.vendor.extend(self.top_k.map(|most| ("top_k".to_owned(), most.into())));
        if let Some(choice) = self.tool_choice {
            choice.tell(&mut sampling.vendor);
        }
        sampling.validate().map_err(|wrong| Fault::invalid(wrong.field(), wrong.to_string()))?;
        Ok(sampling)
    }
}

/// The fields that are for the server behind.
fn own_fields(mut fields: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    for name in REFUSED {
        if fields.get(name).is_some_and(|value| !value.is_null()) {
            return Err(Fault::invalid(name, format!("`{name}` is not supported")));
        }
    }
    fields.retain(|name, _| !REFUSED.contains(&name.as_str()) && !PASSED_OVER.contains(&name.as_str()));
    Ok(fields)
}

/// A turn, as far as it has been read. The results of tools are messages of their own in OpenAI's words.
struct Reading {
    role: request::Role,
    parts: Vec<request::Content>,
    calls: Vec<ToolCall>,
    thoughts: String,
    /// What stands before the parts.
    results: Vec<Message>,
}

impl Reading {
    fn of(turn: Turn, place: usize) -> Result<Self, Fault> {
        let role = match turn.role {
            Role::User => request::Role::User,
            Role::Assistant => request::Role::Assistant,
            Role::System => request::Role::System,
        };
        let param = format!("messages[{place}].content");
        let (parts, calls, thoughts, results) = Default::default();
        let mut reading = Self { role, parts, calls, thoughts, results };
        match turn.content {
            Content::Text(text) => reading.parts.push(text.into()),
            Content::Blocks(blocks) => {
                for (place, block) in blocks.into_iter().enumerate() {
                    reading.block(block, &format!("{param}[{place}]"))?;
                }
            }
        }
        Ok(reading)
    }

    fn block(&mut self, block: Block, param: &str) -> Result<(), Fault> {
        let misplaced = |what: &str| Err(Fault::invalid(param, format!("{what} cannot stand in such a message")));
        match (block, self.role) {
            (Block::Text { text }, _) => self.parts.push(text.into()),
            (Block::Image { source }, request::Role::User) => self.parts.push(image(source).into()),
            (Block::Image { .. }, _) => return misplaced("an image"),
            (Block::ToolUse { id, name, input }, request::Role::Assistant) => {
                self.calls.push(ToolCall { id, name, arguments: input.to_string() });
            }
            (Block::ToolUse { .. }, _) => return misplaced("the use of a tool"),
            (Block::ToolResult { tool_use_id, content, is_error }, request::Role::User) => {
                let mut said = content.map(parts).unwrap_or_default();
                if is_error == Some(true) {
                    mark_as_error(&mut said);
                }
                self.results.push(Message::tool_result(tool_use_id, "").with_parts(said));
            }
            (Block::ToolResult { .. }, _) => return misplaced("the result of a tool"),
            (Block::Thinking { thinking }, request::Role::Assistant) => self.thoughts.push_str(&thinking),
            (Block::Thinking { .. }, _) => return misplaced("thinking"),
            (Block::RedactedThinking {}, _) => {}
        }
        Ok(())
    }

    fn into_messages(self, messages: &mut Vec<Message>) {
        let is_told_by_results = !self.results.is_empty() && self.parts.is_empty();
        messages.extend(self.results);
        if is_told_by_results {
            return;
        }
        let mut message = Message::new(self.role, "").with_parts(self.parts);
        for call in self.calls {
            message = message.tool_call(call);
        }
        if !self.thoughts.is_empty() {
            message = message.vendor("reasoning_content", self.thoughts);
        }
        messages.push(message);
    }
}

fn parts(plain: Plain) -> Vec<request::Content> {
    let part = |part| match part {
        Part::Text { text } => text.into(),
        Part::Image { source } => image(source).into(),
    };
    match plain {
        Plain::Text(text) => vec![text.into()],
        Plain::Parts(parts) => parts.into_iter().map(part).collect(),
    }
}

/// Tells the model that a tool has failed, for which OpenAI's API has no field.
fn mark_as_error(result: &mut Vec<request::Content>) {
    match result.first_mut() {
        Some(request::Content::Text(text)) => text.insert_str(0, "Error: "),
        _ => result.insert(0, "Error".into()),
    }
}

fn image(source: Source) -> Image {
    match source {
        Source::Base64 { media_type, data } => Image::new(format!("data:{media_type};base64,{data}")),
        Source::Url { url } => Image::new(url),
    }
}
