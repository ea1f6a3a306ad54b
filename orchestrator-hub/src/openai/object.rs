//! The objects of OpenAI's API that answers are made of, borrowed: they are written as they are, without a tree in between.

use orchestrator_core::token::{Finish, ToolCallDelta};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::head::Head;
use crate::answer::Call;

/// A whole answer, or a chunk of one.
#[derive(Serialize)]
pub(super) struct Object<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage<'a>>,
    #[serde(flatten)]
    others: Others<'a>,
}

impl<'a, C> Object<'a, C> {
    pub(super) fn new(object: &'static str, head: &'a Head, choices: C) -> Self {
        let Head { id, created, model } = head;
        Self { id, object, created: *created, model, choices, usage: None, others: Others::default() }
    }

    /// Says by whom the answer was, and what it took.
    pub(super) fn whole(mut self, finish: &'a Finish) -> Self {
        if let Some(model) = finish.origin.as_ref().and_then(|origin| origin.model.as_deref()) {
            self.model = model;
        }
        self.with_usage(finish).with_others(finish)
    }

    pub(super) fn with_usage(mut self, finish: &'a Finish) -> Self {
        self.usage = Some(Usage::of(finish));
        self
    }

    /// Adds what the server says of the answer by its own names.
    pub(super) fn with_others(mut self, finish: &'a Finish) -> Self {
        self.others = Others { fields: finish.vendor.as_deref(), is_meant: is_of_answer };
        self
    }
}

/// The only choice of a chat.
#[derive(Serialize)]
pub(super) struct ChatChoice<'a, L> {
    pub(super) index: u32,
    #[serde(flatten)]
    pub(super) said: Said<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<L>,
    #[serde(flatten)]
    pub(super) others: Others<'a>,
    pub(super) finish_reason: Option<&'a str>,
}

/// What a choice of a chat says.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Said<'a> {
    Message(Message<'a>),
    Delta(Delta<'a>),
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    /// `null` where tools are called and nothing is said.
    pub(super) content: Option<&'a str>,
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<CallPiece<'a>>,
}

#[derive(Default, Serialize)]
pub(super) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[CallPiece<'a>; 1]>,
}

/// A call of a tool, or a piece of one.
#[derive(Serialize)]
pub(super) struct CallPiece<'a> {
    /// Of pieces only.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> From<&'a Call> for CallPiece<'a> {
    fn from(call: &'a Call) -> Self {
        let function = Function { name: Some(&call.name), arguments: &call.arguments };
        Self { index: None, id: Some(&call.id), kind: Some("function"), function }
    }
}

impl<'a> From<&'a ToolCallDelta> for CallPiece<'a> {
    fn from(piece: &'a ToolCallDelta) -> Self {
        let id = piece.id.as_deref();
        let function = Function { name: piece.name.as_deref(), arguments: &piece.arguments };
        Self { index: Some(piece.index), id, kind: id.map(|_| "function"), function }
    }
}

/// The only choice of a completion.
#[derive(Serialize)]
pub(super) struct TextChoice<'a, L> {
    pub(super) index: u32,
    pub(super) text: &'a str,
    pub(super) logprobs: Option<L>,
    #[serde(flatten)]
    pub(super) others: Others<'a>,
    pub(super) finish_reason: Option<&'a str>,
}

/// Tokens as OpenAI's API counts them, and what the server says of them beyond that.
#[derive(Serialize)]
struct Usage<'a> {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptTokens,
    #[serde(flatten)]
    others: Others<'a>,
}

#[derive(Serialize)]
struct PromptTokens {
    cached_tokens: u64,
}

impl<'a> Usage<'a> {
    fn of(finish: &'a Finish) -> Self {
        let tokens = &finish.usage;
        Self {
            prompt_tokens: tokens.prompt_tokens,
            completion_tokens: tokens.completion_tokens,
            total_tokens: tokens.prompt_tokens + tokens.completion_tokens,
            prompt_tokens_details: PromptTokens { cached_tokens: tokens.cached_tokens },
            others: Others { fields: said(finish, "usage").and_then(Value::as_object), is_meant: is_of_usage },
        }
    }
}

/// Those of a server's own fields that have a place here, and no other one.
#[derive(Clone, Copy)]
pub(super) struct Others<'a> {
    fields: Option<&'a Map<String, Value>>,
    is_meant: fn(&str) -> bool,
}

impl<'a> Others<'a> {
    /// What the server says of its choice at the end, but for how likely it was.
    pub(super) fn of_choice(finish: &'a Finish) -> Self {
        Self { fields: finish.vendor.as_deref(), is_meant: |name| name == "stop_reason" }
    }
}

impl Default for Others<'_> {
    fn default() -> Self {
        Self { fields: None, is_meant: |_| false }
    }
}

impl Serialize for Others<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.fields.into_iter().flatten();
        serializer.collect_map(fields.filter(|(name, _)| (self.is_meant)(name)))
    }
}

fn is_of_answer(name: &str) -> bool {
    const PLACED: &[&str] =
        &["choices", "created", "finish_reason", "id", "logprobs", "model", "object", "stop_reason", "usage"];
    !PLACED.contains(&name)
}

fn is_of_usage(name: &str) -> bool {
    !["completion_tokens", "prompt_tokens", "prompt_tokens_details", "total_tokens"].contains(&name)
}

/// What the server said at the end under a name.
pub(super) fn said<'a>(finish: &'a Finish, name: &str) -> Option<&'a Value> {
    finish.vendor.as_ref()?.get(name)
}

/// Why the answer ended: the server's own word where it has one.
pub(super) fn reason(finish: &Finish) -> &str {
    said(finish, "finish_reason").and_then(Value::as_str).unwrap_or(finish.reason.as_str())
}
