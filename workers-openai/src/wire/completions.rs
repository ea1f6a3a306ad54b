//! `POST /v1/completions`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{Extra, Field, FinishReason, Float, Logprobs, ResponseFormat, Stop, StreamOptions, Usage};

/// A request for the continuation of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompletionRequest {
    /// The model's name; servers with one model need none.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// What to continue.
    pub prompt: Prompt,
    /// What comes behind the continuation.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub suffix: Field<String>,
    /// The most tokens that the answer may have; 16 unless given, or as many as fit, depending on the server.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub max_tokens: Field<u64>,
    /// How evenly tokens are chosen: 0 takes the likeliest.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub temperature: Field<Float>,
    /// Only the likeliest tokens are chosen from that together have this probability.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub top_p: Field<Float>,
    /// How many answers are wanted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub n: Field<u32>,
    /// Of how many the best are chosen.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub best_of: Field<u32>,
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
    /// For how many tokens at each place log probabilities are wanted.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub logprobs: Field<u32>,
    /// Whether the answer begins with the prompt.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub echo: Field<bool>,
    /// What form the answer must have; not OpenAI's, but llama.cpp and vLLM take it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub response_format: Field<ResponseFormat>,
    /// Whether the answer comes as a stream.
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

impl CompletionRequest {
    /// Makes a request that leaves the rest to the server.
    pub fn new(model: impl Into<String>, prompt: Prompt) -> Self {
        Self {
            model: Field::Value(model.into()),
            prompt,
            suffix: Field::Absent,
            max_tokens: Field::Absent,
            temperature: Field::Absent,
            top_p: Field::Absent,
            n: Field::Absent,
            best_of: Field::Absent,
            stop: Field::Absent,
            seed: Field::Absent,
            presence_penalty: Field::Absent,
            frequency_penalty: Field::Absent,
            logit_bias: Field::Absent,
            logprobs: Field::Absent,
            echo: Field::Absent,
            response_format: Field::Absent,
            stream: Field::Absent,
            stream_options: Field::Absent,
            user: Field::Absent,
            extra: Extra::new(),
        }
    }
}

/// What to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// The ids of a text's tokens.
    Tokens(Vec<u32>),
    /// Several texts, each by itself.
    Texts(Vec<String>),
    /// Anything else, such as several lists of ids.
    Other(Value),
}

/// An answer, or a piece of a streamed one: both have the same shape.
///
/// In a stream vLLM sends the usage in a chunk of its own without choices, llama.cpp on the last with a choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Completion {
    /// What the server calls this answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `text_completion`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// When, in seconds since 1970.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub created: Field<Number>,
    /// What answered.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// The answers, or what is new of them.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub choices: Field<Vec<CompletionChoice>>,
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

/// One of the answers, or what is new of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionChoice {
    /// Which of the answers.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub index: Field<u32>,
    /// What the model wrote; in a chunk empty while a character is not complete.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub text: Field<String>,
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
