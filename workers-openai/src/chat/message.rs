//! From messages to what is sent of them.

use orchestrator_core::request::{Content, Image, Message, Role, Tool, ToolCall};

use crate::wire;

pub(super) fn message(message: &Message) -> wire::ChatMessage {
    let mut sent = wire::ChatMessage::new(wire::Role::from(message.role().as_str()));
    sent.content = content(message);
    if !message.tool_calls().is_empty() {
        sent.tool_calls = message.tool_calls().iter().map(tool_call).collect::<Vec<_>>().into();
    }
    sent.tool_call_id = message.answers().map(str::to_owned).into();
    for (field, value) in message.vendor_fields().into_iter().flatten() {
        match field.as_str() {
            "content" => sent.content = wire::Content::Other(value.clone()).into(),
            // What the message is, is ours to say.
            "role" | "tool_calls" | "tool_call_id" => {}
            _ => _ = sent.extra.insert(field.clone(), value.clone()),
        }
    }
    sent
}

/// A single text is sent as such, since not every server takes parts; the message of a model that only calls tools has none.
fn content(message: &Message) -> wire::Field<wire::Content> {
    let only_text = message.parts().iter().all(|part| matches!(part, Content::Text(_)));
    if !only_text {
        return wire::Content::Parts(message.parts().iter().filter_map(part).collect()).into();
    }
    let text = message.text();
    if text.is_empty() && message.role() == Role::Assistant && !message.tool_calls().is_empty() {
        return wire::Field::Absent;
    }
    wire::Content::Text(text.into_owned()).into()
}

fn part(part: &Content) -> Option<wire::Part> {
    match part {
        Content::Text(text) => Some(wire::Part::text(text)),
        Content::Image(image) => Some(picture(image)),
        // What a newer core knows and this crate does not.
        _ => None,
    }
}

fn picture(image: &Image) -> wire::Part {
    let url = wire::ImageUrl { url: image.url.clone(), detail: image.detail.clone().into(), extra: wire::Extra::new() };
    wire::Part::ImageUrl(wire::ImagePart { image_url: url, extra: wire::Extra::new() })
}

fn tool_call(call: &ToolCall) -> wire::ToolCall {
    let function = wire::FunctionCall {
        name: call.name.clone().into(),
        arguments: wire::Arguments::Text(call.arguments.clone()).into(),
        ..wire::FunctionCall::default()
    };
    wire::ToolCall {
        id: call.id.clone().into(),
        kind: "function".into(),
        function: function.into(),
        ..wire::ToolCall::default()
    }
}

pub(super) fn tool(tool: &Tool) -> wire::Tool {
    wire::Tool::function(&tool.name, &tool.description, tool.parameters.clone())
}
