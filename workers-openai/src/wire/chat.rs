//! `POST /v1/chat/completions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{
    ChatMessage, Content, Extra, Field, FinishReason, Float, FunctionCall, Logprobs, ResponseFormat, Role, Stop,
    StreamOptions, Tool, ToolCall, ToolChoice, Usage,
};

/// A request for the next message of a chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model's name; servers with one model need none.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// The chat so far.
    pub messages: Vec<ChatMessage>,
    /// The most tokens that the answer may have; reasoning models of OpenAI take only the next.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub max_tokens: Field<u64>,
    /// The most tokens that the answer may have, reasoning included.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub max_completion_tokens: Field<u64>,
    /// How evenly tokens are chosen: 0 takes the likeliest.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub temperature: Field<Float>,
    /// Only the likeliest tokens are chosen from that together have this probability.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub top_p: Field<Float>,
    /// How many answers are wanted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub n: Field<u32>,
    /// Where the model stops; the text itself is not part of the answer.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub stop: Field<Stop>,
    /// Makes the choice of tokens repeatable, as far as the server can.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub seed: Field<Number>,
    /// Makes tokens less likely that have come.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub presence_penalty: Field<Float>,
    /// Makes tokens less likely the more often they have come.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub frequency_penalty: Field<Float>,
    /// Makes tokens, named by their ids, more or less likely.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub logit_bias: Field<BTreeMap<String, Float>>,
    /// Whether log probabilities are wanted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub logprobs: Field<bool>,
    /// For how many tokens at each place.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub top_logprobs: Field<u32>,
    /// What the model may call.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub tools: Field<Vec<Tool>>,
    /// What it must call.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub tool_choice: Field<ToolChoice>,
    /// Whether it may ask for several calls at once.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub parallel_tool_calls: Field<bool>,
    /// What form the answer must have.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub response_format: Field<ResponseFormat>,
    /// `low`, `medium`, `high` or what else the model knows.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub reasoning_effort: Field<String>,
    /// Whether the answer comes as a stream of [`ChatChunk`]s, or at once as a [`ChatCompletion`].
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub stream: Field<bool>,
    /// What else the stream holds.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub stream_options: Field<StreamOptions>,
    /// Who it is for, for the provider's records.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub user: Field<String>,
    /// Unknown fields, and parameters of the vendor's own.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatRequest {
    /// Makes a request that leaves the rest to the server.
    pub fn new(model: impl Into<String>, messages: Vec<ChatMessage>) -> Self {
        Self {
            model: Field::Value(model.into()),
            messages,
            max_tokens: Field::Absent,
            max_completion_tokens: Field::Absent,
            temperature: Field::Absent,
            top_p: Field::Absent,
            n: Field::Absent,
            stop: Field::Absent,
            seed: Field::Absent,
            presence_penalty: Field::Absent,
            frequency_penalty: Field::Absent,
            logit_bias: Field::Absent,
            logprobs: Field::Absent,
            top_logprobs: Field::Absent,
            tools: Field::Absent,
            tool_choice: Field::Absent,
            parallel_tool_calls: Field::Absent,
            response_format: Field::Absent,
            reasoning_effort: Field::Absent,
            stream: Field::Absent,
            stream_options: Field::Absent,
            user: Field::Absent,
            extra: Extra::new(),
        }
    }
}

/// An answer that came at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatCompletion {
    /// What the server calls this answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `chat.completion`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// When, in seconds since 1970.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub created: Field<Number>,
    /// What answered.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// The answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub choices: Field<Vec<ChatChoice>>,
    /// How many tokens it took.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub usage: Field<Usage>,
    /// Which version of what answered.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub system_fingerprint: Field<String>,
    /// Unknown fields, such as llama.cpp's `timings`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One of the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatChoice {
    /// Which of the answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub index: Field<u32>,
    /// What the model says.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub message: Field<ChatMessage>,
    /// How likely it was.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub logprobs: Field<Logprobs>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub finish_reason: Field<FinishReason>,
    /// Unknown fields, such as vLLM's `stop_reason`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a streamed answer: one event's data, unless that is `[DONE]`.
///
/// A chunk without choices has the usage; llama.cpp puts that on the last one with a choice, too, on the route of
/// completions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatChunk {
    /// What the server calls this answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `chat.completion.chunk`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// When, in seconds since 1970.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub created: Field<Number>,
    /// What answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// What is new.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub choices: Field<Vec<ChatChunkChoice>>,
    /// How many tokens it took so far.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub usage: Field<Usage>,
    /// Which version of what answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub system_fingerprint: Field<String>,
    /// Unknown fields, such as llama.cpp's `timings`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is new of one of the answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatChunkChoice {
    /// Which of the answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub index: Field<u32>,
    /// What is new.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub delta: Field<ChatDelta>,
    /// How likely it was.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub logprobs: Field<Logprobs>,
    /// Why the model stopped; `null`, missing or empty while it goes on.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub finish_reason: Field<FinishReason>,
    /// Unknown fields, such as vLLM's `token_ids`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is new of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatDelta {
    /// Who it is from; in the first chunk.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub role: Field<Role>,
    /// More of what it says; empty while a character is not complete.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<Content>,
    /// More of the calls.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tool_calls: Field<Vec<ToolCall>>,
    /// More of the call, in the older form with one function.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub function_call: Field<FunctionCall>,
    /// More of what the model thinks, as llama.cpp and others call it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reasoning_content: Field<String>,
    /// More of what the model thinks, as vLLM, OpenRouter and others call it.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub reasoning: Field<String>,
    /// More of why it won't answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub refusal: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
