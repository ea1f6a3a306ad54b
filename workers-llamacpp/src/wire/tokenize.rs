//! `POST /tokenize` and `POST /detokenize`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, Field, Prompt};

/// A text that is to become tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizeRequest {
    /// The text, or parts; ids among them come back as they are.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<Prompt>,
    /// Whether the model's mark of the beginning is added; not unless set.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub add_special: Field<bool>,
    /// Whether text such as `<|im_end|>` is the token of that name; it is unless set.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub parse_special: Field<bool>,
    /// Whether the tokens come with their texts.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub with_pieces: Field<bool>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizeResponse {
    /// The tokens in order.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens: Field<Vec<Token>>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Token {
    /// Its id.
    Id(i64),
    /// Its id and its text, or the text's bytes where they are no UTF-8.
    Piece {
        /// Its id.
        id: i64,
        /// A text, or an array of bytes.
        piece: Value,
        /// Unknown fields.
        #[serde(flatten)]
        extra: Extra,
    },
}

/// Tokens that are to become text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetokenizeRequest {
    /// Their ids.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub tokens: Field<Vec<i64>>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The text of tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetokenizeResponse {
    /// The text; what is no UTF-8 in it is replaced.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub content: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}
