//! How likely the tokens were.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Extra, Field, Float};

/// Log probabilities, in either of two shapes: chat has `content` and `refusal`, completions the other four.
///
/// llama.cpp uses the shape of chat on both routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logprobs {
    /// The tokens of the answer.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<Vec<TokenLogprob>>,
    /// The tokens of a refusal.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub refusal: Field<Vec<TokenLogprob>>,
    /// The tokens of the text.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens: Field<Vec<String>>,
    /// Their log probabilities; the first token of an echoed prompt has none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub token_logprobs: Field<Vec<Option<Float>>>,
    /// The likeliest tokens at each place.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub top_logprobs: Field<Vec<Option<BTreeMap<String, Float>>>>,
    /// Where each token begins in the text, in characters.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub text_offset: Field<Vec<u64>>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A token and its log probability, in the shape of chat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenLogprob {
    /// The token's text; what is not UTF-8 by itself is replaced or escaped.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub token: Field<String>,
    /// The natural logarithm of its probability.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub logprob: Field<Float>,
    /// The token's bytes.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub bytes: Field<Vec<u8>>,
    /// The likeliest tokens at this place.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub top_logprobs: Field<Vec<TokenLogprob>>,
    /// Unknown fields, such as llama.cpp's `id`.
    #[serde(flatten)]
    pub extra: Extra,
}
