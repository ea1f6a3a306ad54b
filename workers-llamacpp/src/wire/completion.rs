//! `POST /completion`.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{Extra, Field, Float};

/// A request for the continuation of a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompletionRequest {
    /// What to continue.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt: Field<Prompt>,
    /// The most tokens that the answer may have; -1, or none, for as many as fit, and 0 gives one.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub n_predict: Field<Number>,
    /// How evenly tokens are chosen: 0 takes the likeliest.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub temperature: Field<Float>,
    /// Only the likeliest tokens are chosen from that together have this probability.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub top_p: Field<Float>,
    /// Where the model stops; the text itself is not part of the answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub stop: Field<Vec<String>>,
    /// The sampler's seed, of which the server takes 32 bits; all ones is chance.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub seed: Field<Number>,
    /// The JSON schema that the answer must match.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub json_schema: Field<Value>,
    /// The grammar that the answer must match, in GBNF; it wins over a schema.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub grammar: Field<String>,
    /// Whether the answer comes as a stream.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub stream: Field<bool>,
    /// Whether an answer that comes as a whole has the ids of its tokens; those of a stream have them anyway.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub return_tokens: Field<bool>,
    /// Whether what the slot has of the prompt is used again; it is, unless this is false.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub cache_prompt: Field<bool>,
    /// The slot that answers, which is waited for where it is busy; -1, or none, for one of the server's choice.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id_slot: Field<i64>,
    /// All other parameters.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    /// A text.
    Text(String),
    /// Texts and the ids of tokens, one behind the other.
    Parts(Vec<PromptPart>),
    /// Anything else, such as pictures with their text.
    Other(Value),
}

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PromptPart {
    /// The id of a token.
    Token(i64),
    /// A text, of which each becomes tokens for itself.
    Text(String),
}

/// An answer, or a piece of a streamed one: both have the same shape, of which a piece has the first fields only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Completion {
    /// Which of several prompts it belongs to.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub index: Field<u64>,
    /// The text, or what is new of it. A character whose bytes have not all come is held back.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<String>,
    /// The ids of its tokens; in a stream the last one's only, also where the text is that of several.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens: Field<Vec<u32>>,
    /// Whether it is the last piece.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub stop: Field<bool>,
    /// Which slot answered; -1 in all pieces but the last.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id_slot: Field<i64>,
    /// What answered.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// Tokens of the answer so far.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens_predicted: Field<u64>,
    /// Tokens of the prompt, the cached ones included.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens_evaluated: Field<u64>,
    /// Why it ended: `limit`, `word`, `eos` or `none`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub stop_type: Field<String>,
    /// The text that it stopped at.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub stopping_word: Field<String>,
    /// Whether the context was used up.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub truncated: Field<bool>,
    /// Tokens that the slot keeps.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens_cached: Field<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub timings: Field<Timings>,
    /// Unknown fields, such as the prompt and all settings that it was made with.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How many tokens were worked on, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Tokens of the prompt that the slot had already.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub cache_n: Field<u64>,
    /// Tokens of the prompt that it evaluated.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt_n: Field<u64>,
    /// Milliseconds for these.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub prompt_ms: Field<Float>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub predicted_n: Field<u64>,
    /// Milliseconds for these.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub predicted_ms: Field<Float>,
    /// Unknown fields, such as the rates.
    #[serde(flatten)]
    pub extra: Extra,
}
