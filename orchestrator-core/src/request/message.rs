use std::borrow::Cow;

use serde_json::{Map, Value};

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// Returns the name that chat protocols use: `system`, `user`, `assistant` or `tool`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Plain text.
    Text(String),
    /// A picture, for models that can see.
    Image(Image),
}

impl Content {
    /// Returns the text of a text part, `None` for any other kind.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}

/// A picture in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Where it is: `https://..` for a server that fetches it, or the picture itself as `data:image/png;base64,..`.
    pub url: String,
    /// How closely the model shall look, in the server's words: `low`, `high` or `auto` for most.
    pub detail: Option<String>,
}

impl Image {
    /// Names a picture.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), detail: None }
    }

    /// Says how closely the model shall look.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl From<Image> for Content {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

/// A call of a tool, as the model asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The id by which its result is told.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, JSON text.
    pub arguments: String,
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// One turn of a conversation: a role and its parts.
///
/// A conversation with tools goes on with what the model asked for and what came of it:
///
/// ```
/// use orchestrator_core::request::{Message, PromptRequest, ToolCall};
///
/// let call = ToolCall { id: "1".into(), name: "weather".into(), arguments: r#"{"city":"Oslo"}"#.into() };
/// let request = PromptRequest::from_messages([
///     Message::user("What is the weather in Oslo?"),
///     Message::assistant("").tool_call(call),
///     Message::tool_result("1", "2 degrees, rain"),
/// ]);
/// # assert_eq!(request.messages()[2].answers(), Some("1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    role: Role,
    parts: Vec<Content>,
    tool_calls: Vec<ToolCall>,
    answers: Option<String>,
    vendor: Option<Box<Map<String, Value>>>,
}

impl Message {
    /// Makes a message of one part.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self { role, parts: vec![content.into()], tool_calls: Vec::new(), answers: None, vendor: None }
    }

    /// Makes a system message.
    pub fn system(content: impl Into<Content>) -> Self {
        Self::new(Role::System, content)
    }

    /// Makes a user message.
    pub fn user(content: impl Into<Content>) -> Self {
        Self::new(Role::User, content)
    }

    /// Makes an assistant message.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// Makes the message that tells what came of a tool call.
    pub fn tool_result(call: impl Into<String>, content: impl Into<Content>) -> Self {
        Self { answers: Some(call.into()), ..Self::new(Role::Tool, content) }
    }

    /// Adds a call of a tool that the model, whose message this is, asked for.
    #[must_use]
    pub fn tool_call(mut self, call: ToolCall) -> Self {
        self.tool_calls.push(call);
        self
    }

    /// Puts other parts in the place of those that are there.
    #[must_use]
    pub fn with_parts(mut self, parts: Vec<Content>) -> Self {
        self.parts = parts;
        self.forget_content();
        self
    }

    /// Adds a part behind those already there.
    #[must_use]
    pub fn part(mut self, content: impl Into<Content>) -> Self {
        self.parts.push(content.into());
        self.forget_content();
        self
    }

    /// Sets a field of the message that only some servers know, handed on as it is: the name of a speaker, marks for a cache.
    ///
    /// One that is called like a field of the server's own stands in its place. So parts of a kind that is unknown here go in
    /// `content`, beside what is known of them; whoever changes the parts takes that out.
    #[must_use]
    pub fn vendor(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.vendor.get_or_insert_default().insert(field.into(), value.into());
        self
    }

    /// Returns the fields that only some servers know.
    #[must_use]
    pub fn vendor_fields(&self) -> Option<&Map<String, Value>> {
        self.vendor.as_deref()
    }

    /// The vendor's form of the parts would say something else than they do.
    fn forget_content(&mut self) {
        if let Some(vendor) = &mut self.vendor {
            vendor.remove("content");
        }
    }

    /// Returns who speaks.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns the parts in order.
    #[must_use]
    pub fn parts(&self) -> &[Content] {
        &self.parts
    }

    /// Returns the tool calls that the model asked for, empty for most messages.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        &self.tool_calls
    }

    /// Returns the id of the tool call whose result this is.
    #[must_use]
    pub fn answers(&self) -> Option<&str> {
        self.answers.as_deref()
    }

    /// Returns how many bytes its parts and tool calls have, for whoever keeps messages within a limit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let part = |part: &Content| match part {
            Content::Text(text) => text.len(),
            Content::Image(image) => image.url.len() + image.detail.as_ref().map_or(0, String::len),
        };
        let call = |call: &ToolCall| call.id.len() + call.name.len() + call.arguments.len();
        let answers = self.answers.as_ref().map_or(0, String::len);
        self.parts.iter().map(part).sum::<usize>() + self.tool_calls.iter().map(call).sum::<usize>() + answers
    }

    /// Returns the text of all text parts, joined without a separator.
    ///
    /// Borrows where there is a single text part, which is the usual case.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.parts.iter().filter_map(Content::as_text);
        match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut joined = String::from(first);
                joined.push_str(second);
                joined.extend(texts);
                Cow::Owned(joined)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_joins_all_parts() {
        let message = Message::user("a").part("b").part("c");
        assert_eq!(message.text(), "abc");
        assert!(matches!(Message::user("a").text(), Cow::Borrowed("a")));
    }

    #[test]
    fn a_vendors_form_of_the_parts_goes_with_them() {
        let message =
            Message::user("hi").vendor("name", "ann").vendor("content", serde_json::json!([{"type": "input_audio"}]));
        let names =
            |message: &Message| message.vendor_fields().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&message), Some(vec!["content".to_owned(), "name".to_owned()]));
        assert_eq!(names(&message.clone().part("more")), Some(vec!["name".to_owned()]));
        assert_eq!(names(&message.with_parts(Vec::new())), Some(vec!["name".to_owned()]));
    }

    #[test]
    fn all_that_a_message_holds_is_in_its_bytes() {
        assert_eq!(Message::user("abc").part(Image::new("data:").detail("low")).bytes(), 3 + 5 + 3);
        let call = ToolCall { id: "1".into(), name: "ab".into(), arguments: "{}".into() };
        assert_eq!(Message::assistant("").tool_call(call).bytes(), 1 + 2 + 2);
        assert_eq!(Message::tool_result("1", "abc").bytes(), 1 + 3);
    }
}
