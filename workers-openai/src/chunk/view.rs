//! The view of a chunk.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use smallvec::SmallVec;

use super::lenient::{Count, Name, Text, object, or_default};

/// The data of one event, unless that is `[DONE]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Chunk<'a> {
    /// One in nearly every chunk; none where a chunk has only the usage.
    #[serde(borrow, deserialize_with = "or_default")]
    choices: Choices<'a>,
    #[serde(deserialize_with = "object")]
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
    detail: Option<IgnoredAny>,
    message: Option<IgnoredAny>,
    #[serde(borrow)]
    object: Name<'a>,
    #[serde(borrow, rename = "type")]
    kind: Name<'a>,
}

impl<'a> Chunk<'a> {
    /// Reads the data of an event.
    ///
    /// # Errors
    ///
    /// When it is no JSON object, or what is needed of it has a type that makes no sense.
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, serde_json::Error> {
        match str::from_utf8(data) {
            // Looked at once as a whole, no text in it is looked at again.
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(data),
        }
    }

    pub(crate) fn choices(&self) -> &[Choice<'a>] {
        &self.choices.0
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Returns whether this says that the answer has failed; [`ErrorBody`](crate::wire::ErrorBody) reads what it says.
    ///
    /// Not every server says so by an `error`: a piece of an answer has choices or a usage, and no message beside nothing.
    pub(crate) fn is_error(&self) -> bool {
        let is_piece = !self.choices().is_empty() || self.usage.is_some();
        let is_told = self.detail.is_some() || self.message.is_some();
        let is_named = [&self.object, &self.kind].iter().any(|name| name.0.as_deref() == Some("error"));
        self.error.is_some() || !is_piece && (is_told || is_named)
    }
}

#[derive(Debug, Default)]
struct Choices<'a>(SmallVec<[Choice<'a>; 1]>);

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChoicesVisitor(PhantomData)).map(Self)
    }
}

struct ChoicesVisitor<'a>(PhantomData<Choice<'a>>);

impl<'de: 'a, 'a> Visitor<'de> for ChoicesVisitor<'a> {
    type Value = SmallVec<[Choice<'a>; 1]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut choices = SmallVec::new();
        while let Some(choice) = seq.next_element()? {
            choices.push(choice);
        }
        Ok(choices)
    }
}

/// What is new of one of the answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice<'a> {
    index: Count,
    /// On the route of completions.
    #[serde(borrow)]
    text: Text<'a>,
    /// On the route of chat completions.
    #[serde(borrow, deserialize_with = "or_default")]
    delta: Delta<'a>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
    #[serde(deserialize_with = "or_default")]
    token_ids: Vec<u32>,
    logprobs: Option<IgnoredAny>,
}

impl<'a> Choice<'a> {
    /// Returns which of the answers this belongs to.
    pub(crate) fn index(&self) -> u64 {
        self.index.0.unwrap_or(0)
    }

    /// Returns what the model says next; empty where it says nothing.
    pub(crate) fn content(&self) -> &str {
        self.delta.content.0.as_deref().or(self.text.0.as_deref()).unwrap_or_default()
    }

    /// Returns what the model thinks next; empty where it thinks nothing.
    ///
    /// Servers that know both names for it send the same under both.
    pub(crate) fn reasoning(&self) -> &str {
        let named = [&self.delta.reasoning_content, &self.delta.reasoning];
        named.iter().find_map(|text| text.0.as_deref().filter(|text| !text.is_empty())).unwrap_or_default()
    }

    pub(crate) fn tool_calls(&self) -> &[ToolCallDelta<'a>] {
        &self.delta.tool_calls
    }

    /// Returns why the model stopped; `None` while it goes on, which some servers write as `""`.
    pub(crate) fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.0.as_deref().filter(|reason| !reason.is_empty())
    }

    /// Returns the ids of the new tokens, which vLLM sends when a request says `return_token_ids`.
    pub(crate) fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// Returns whether it says how likely its tokens were, though maybe of none.
    pub(crate) const fn has_logprobs(&self) -> bool {
        self.logprobs.is_some()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    tool_calls: Vec<ToolCallDelta<'a>>,
}

/// A piece of a call that the model asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToolCallDelta<'a> {
    index: Count,
    #[serde(borrow)]
    id: Name<'a>,
    #[serde(borrow, deserialize_with = "or_default")]
    function: FunctionDelta<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FunctionDelta<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
}

impl ToolCallDelta<'_> {
    /// Returns which of the answer's calls this is a piece of; `None` where the server does not say.
    pub(crate) fn index(&self) -> Option<u64> {
        self.index.0
    }

    /// Returns what the call is named by when its result comes; in the first piece.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.0.as_deref()
    }

    /// Returns the function's name; in the first piece.
    pub(crate) fn name(&self) -> Option<&str> {
        self.function.name.0.as_deref()
    }

    /// Returns more of the arguments, which are JSON once they are whole.
    pub(crate) fn arguments(&self) -> &str {
        self.function.arguments.0.as_deref().unwrap_or_default()
    }
}

/// Token counts so far, where the server says them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    prompt_tokens: Count,
    completion_tokens: Count,
    #[serde(deserialize_with = "object")]
    prompt_tokens_details: Option<PromptTokens>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct PromptTokens {
    cached_tokens: Count,
}

impl Usage {
    /// Returns the tokens of the prompt, the cached ones included.
    pub(crate) fn prompt(self) -> Option<u64> {
        self.prompt_tokens.0
    }

    /// Returns the tokens of the answer, reasoning included.
    pub(crate) fn completion(self) -> Option<u64> {
        self.completion_tokens.0
    }

    /// Returns the tokens of the prompt that the server had in its cache.
    pub(crate) fn cached(self) -> Option<u64> {
        self.prompt_tokens_details?.cached_tokens.0
    }
}
