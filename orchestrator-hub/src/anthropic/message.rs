//! The objects of Anthropic's API that answers are made of.

use orchestrator_core::token::{self, Finish, FinishReason};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::openapi::{word, words};

/// A message of the model: whole, or as a stream begins with it.
#[derive(Serialize, ToSchema)]
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    #[schema(schema_with = kind)]
    pub(super) kind: &'static str,
    #[schema(schema_with = role)]
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    #[schema(min_items = 1)]
    pub(super) content: Vec<Block<'a>>,
    #[schema(schema_with = stop_reason, required = true)]
    pub(super) stop_reason: Option<&'static str>,
    #[schema(required = true)]
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: Usage,
}

impl<'a> Message<'a> {
    /// Begins one that has not said anything yet.
    pub(super) fn new(id: &'a str, model: &'a str) -> Self {
        let usage = Usage::of(token::Usage::default());
        let (content, stop_reason, stop_sequence) = (Vec::new(), None, None);
        Self { id, kind: "message", role: "assistant", model, content, stop_reason, stop_sequence, usage }
    }
}

fn kind() -> Object {
    word("message")
}

fn role() -> Object {
    word("assistant")
}

fn stop_reason() -> Object {
    words(&["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"])
}

#[derive(Serialize, ToSchema)]
#[schema(as = MessageBlock)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    /// What was thought, without a signature: nobody here could check one.
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        #[schema(value_type = Object)]
        input: Input<'a>,
    },
}

/// The arguments of a call: a JSON object as the model has written it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    Written(&'a RawValue),
    /// An empty one.
    Empty {},
    /// What is no object all the same, such as one that was cut: as a text, in an object.
    Other {
        arguments: &'a str,
    },
}

impl<'a> From<&'a str> for Input<'a> {
    fn from(arguments: &'a str) -> Self {
        let is_object = |value: &&RawValue| value.get().starts_with('{');
        match serde_json::from_str(arguments).ok().filter(is_object) {
            Some(object) => Self::Written(object),
            None if arguments.trim().is_empty() => Self::Empty {},
            None => Self::Other { arguments },
        }
    }
}

/// Tokens as Anthropic's API counts them: those from the cache apart from the others.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageUsage)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl Usage {
    pub(super) const fn of(usage: token::Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.completion_tokens,
        }
    }
}

/// Why the model stopped, and the text at which it did, where the server tells that.
pub(super) fn stop(finish: &Finish) -> (&'static str, Option<&str>) {
    // vLLM and llama.cpp have a name of their own for it; vLLM's may also be the number of a token.
    let told = |name: &str| finish.vendor.as_ref()?.get(name).and_then(Value::as_str);
    match (finish.reason, told("stop_reason").or_else(|| told("stopping_word"))) {
        (FinishReason::Stop, Some(text)) => ("stop_sequence", Some(text)),
        (FinishReason::Length, _) => ("max_tokens", None),
        (FinishReason::ToolCalls, _) => ("tool_use", None),
        (FinishReason::ContentFilter, _) => ("refusal", None),
        _ => ("end_turn", None),
    }
}
