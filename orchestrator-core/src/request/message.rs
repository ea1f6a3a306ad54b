use std::borrow::Cow;

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
///
/// Only text today; the enum is open so that images can join without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Plain text.
    Text(String),
}

impl Content {
    /// Returns the text of a text part, `None` for any other kind.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    role: Role,
    parts: Vec<Content>,
}

impl Message {
    /// Makes a message of one part.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self { role, parts: vec![content.into()] }
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

    /// Adds a part behind those already there.
    #[must_use]
    pub fn part(mut self, content: impl Into<Content>) -> Self {
        self.parts.push(content.into());
        self
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
}
