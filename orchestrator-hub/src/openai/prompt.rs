use orchestrator_core::request::{Content, Image, Message, PromptRequest, ResponseFormat, Role, Tool, ToolCall};
use serde_json::Value;
use workers_openai::wire;

use super::body::Body;
use crate::fault::Fault;

impl Body {
    /// Makes of a chat what a pipeline is submitted with; the options are not set.
    ///
    /// # Errors
    ///
    /// Names the field that is wrong.
    pub(super) fn into_chat(mut self) -> Result<PromptRequest, Fault> {
        if self.prompt.is_some() {
            return Err(misplaced("prompt"));
        }
        let Some(messages) = self.messages.take().filter(|messages| !messages.is_empty()) else {
            return Err(Fault::invalid("messages", "`messages` must hold at least one message"));
        };
        let messages = messages.into_iter().enumerate().map(|(place, message)| read_message(place, message));
        let mut prompt = PromptRequest::from_messages(messages.collect::<Result<Vec<_>, _>>()?);
        let tools = self.tools.take().unwrap_or_default();
        for (place, tool) in tools.iter().enumerate() {
            prompt = prompt.tool(read_tool(place, tool)?);
        }
        if let Some(format) = self.response_format.take() {
            prompt = prompt.response_format(read_format(format)?);
        }
        let mut sampling = self.into_sampling()?;
        if !tools.is_empty() {
            // As the client has put them: with `strict`, and what else the server may know.
            sampling.vendor.insert("tools".to_owned(), tools.into());
        }
        Ok(prompt.sampling(sampling))
    }

    /// Makes of a text to go on with what a pipeline is submitted with; the options are not set.
    ///
    /// # Errors
    ///
    /// Names the field that is wrong.
    pub(super) fn into_completion(mut self) -> Result<PromptRequest, Fault> {
        if self.messages.is_some() {
            return Err(misplaced("messages"));
        }
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return Err(misplaced("tools"));
        }
        if self.vendor.get("echo") == Some(&Value::Bool(true)) {
            return Err(Fault::invalid("echo", "`echo` must be false: the answer does not repeat the prompt"));
        }
        if self.vendor.get("suffix").is_some_and(|suffix| !suffix.is_null() && suffix != "") {
            return Err(Fault::invalid("suffix", "`suffix` must be empty: texts are only gone on with"));
        }
        let text = match self.prompt.take() {
            Some(wire::Prompt::Text(text)) => text,
            Some(wire::Prompt::Texts(mut texts)) if texts.len() == 1 => texts.remove(0),
            _ => return Err(Fault::invalid("prompt", "`prompt` must be one text")),
        };
        let mut prompt = PromptRequest::raw(text);
        if let Some(format) = self.response_format.take() {
            prompt = prompt.response_format(read_format(format)?);
        }
        Ok(prompt.sampling(self.into_sampling()?))
    }
}

/// What would change the answer on the other route.
fn misplaced(field: &str) -> Fault {
    Fault::invalid(field, format!("`{field}` has no meaning on this route"))
}

fn read_message(place: usize, mut message: wire::ChatMessage) -> Result<Message, Fault> {
    let param = |field: &str| format!("messages[{place}].{field}");
    let role = match message.role.get() {
        Some(wire::Role::System | wire::Role::Developer) => Role::System,
        Some(wire::Role::User) => Role::User,
        Some(wire::Role::Assistant) => Role::Assistant,
        Some(wire::Role::Tool) => Role::Tool,
        _ => {
            let message = "a message's `role` must be system, developer, user, assistant or tool";
            return Err(Fault::invalid(param("role"), message));
        }
    };
    let content = message.content.into_option();
    let mut read = match role {
        Role::Tool => {
            let Some(call) = message.tool_call_id.into_option() else {
                return Err(Fault::invalid(
                    param("tool_call_id"),
                    "the result of a tool says which call it belongs to",
                ));
            };
            Message::tool_result(call, "")
        }
        _ => Message::new(role, ""),
    };
    let verbatim;
    (read, verbatim) = read_content(read, content, || param("content"))?;
    for call in message.tool_calls.into_option().unwrap_or_default() {
        read = read.tool_call(read_call(call, || param("tool_calls"))?);
    }
    if let Some(content) = verbatim {
        read = read.vendor("content", content);
    }
    for (name, text) in [
        ("name", message.name),
        ("reasoning_content", message.reasoning_content),
        ("reasoning", message.reasoning),
        ("refusal", message.refusal),
    ] {
        if let Some(text) = text.into_option() {
            read = read.vendor(name, text);
        }
    }
    for (name, value) in std::mem::take(&mut message.extra) {
        read = read.vendor(name, value);
    }
    Ok(read)
}

/// Reads what a message says, and keeps it as it was put where not all of that can be read.
fn read_content(
    message: Message,
    content: Option<wire::Content>,
    param: impl FnOnce() -> String,
) -> Result<(Message, Option<Value>), Fault> {
    match content {
        None => Ok((message, None)),
        Some(wire::Content::Text(text)) => Ok((message.with_parts(vec![text.into()]), None)),
        Some(wire::Content::Parts(parts)) => {
            let known: Vec<Content> = parts.iter().filter_map(read_part).collect();
            let is_known = known.len() == parts.len() && parts.iter().all(says_no_more);
            let verbatim = (!is_known).then(|| serde_json::to_value(&parts).expect("parts that were JSON are JSON"));
            Ok((message.with_parts(known), verbatim))
        }
        Some(wire::Content::Other(_)) => {
            Err(Fault::invalid(param(), "a message's `content` must be a text or a list of parts"))
        }
    }
}

fn read_part(part: &wire::Part) -> Option<Content> {
    match part {
        wire::Part::Text(part) => Some(Content::Text(part.text.clone())),
        wire::Part::ImageUrl(part) => {
            let mut image = Image::new(part.image_url.url.clone());
            image.detail = part.image_url.detail.get().cloned();
            Some(image.into())
        }
        _ => None,
    }
}

fn says_no_more(part: &wire::Part) -> bool {
    match part {
        wire::Part::Text(part) => part.extra.is_empty(),
        wire::Part::ImageUrl(part) => part.extra.is_empty() && part.image_url.extra.is_empty(),
        _ => false,
    }
}

fn read_call(call: wire::ToolCall, param: impl FnOnce() -> String) -> Result<ToolCall, Fault> {
    let function = call.function.into_option().unwrap_or_default();
    let (Some(id), Some(name)) = (call.id.into_option(), function.name.into_option()) else {
        return Err(Fault::invalid(param(), "a tool call has an `id`, and a `function` with a `name`"));
    };
    let arguments = match function.arguments.into_option() {
        Some(wire::Arguments::Text(text)) => text,
        Some(wire::Arguments::Object(value)) => value.to_string(),
        None => String::new(),
    };
    Ok(ToolCall { id, name, arguments })
}

fn read_tool(place: usize, tool: &Value) -> Result<Tool, Fault> {
    let function = tool.get("function").unwrap_or(&Value::Null);
    let text = |field: &str| function.get(field).and_then(Value::as_str).map(str::to_owned);
    let Some(name) = text("name") else {
        return Err(Fault::invalid(format!("tools[{place}]"), "a tool is a `function` with a `name`"));
    };
    let parameters = function.get("parameters").cloned().unwrap_or_else(|| serde_json::json!({"type": "object"}));
    Ok(Tool { name, description: text("description").unwrap_or_default(), parameters })
}

fn read_format(format: Value) -> Result<ResponseFormat, Fault> {
    let wrong =
        || Fault::invalid("response_format", "`response_format` must be of type text, json_object or json_schema");
    match serde_json::from_value(format).map_err(|_| wrong())? {
        wire::ResponseFormat::Text(_) => Ok(ResponseFormat::Text),
        wire::ResponseFormat::JsonObject(_) => Ok(ResponseFormat::Json),
        wire::ResponseFormat::JsonSchema { json_schema, .. } => {
            let schema = json_schema.schema.into_option().ok_or_else(|| {
                Fault::invalid(
                    "response_format.json_schema.schema",
                    "a response format of type json_schema has a schema",
                )
            })?;
            Ok(ResponseFormat::JsonSchema { name: json_schema.name.into_option().unwrap_or_default(), schema })
        }
        _ => Err(wrong()),
    }
}
