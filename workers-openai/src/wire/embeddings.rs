//! `POST /v1/embeddings`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Extra, Field, Float, Usage};

/// A request for vectors of texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingRequest {
    /// The model's name; servers with one model need none.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// What is embedded.
    pub input: EmbeddingInput,
    /// `float`, or `base64`, which takes a quarter of the bytes.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub encoding_format: Field<String>,
    /// How long the vectors should be.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub dimensions: Field<u32>,
    /// Who it is for, for the provider's records.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub user: Field<String>,
    /// Unknown fields, and parameters of the vendor's own.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingRequest {
    /// Makes a request that leaves the rest to the server.
    pub fn new(model: impl Into<String>, input: EmbeddingInput) -> Self {
        Self {
            model: Field::Value(model.into()),
            input,
            encoding_format: Field::Absent,
            dimensions: Field::Absent,
            user: Field::Absent,
            extra: Extra::new(),
        }
    }
}

/// What is embedded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EmbeddingInput {
    /// One text.
    Text(String),
    /// Several texts, each by itself.
    Texts(Vec<String>),
    /// Anything else, such as lists of token ids.
    Other(Value),
}

/// The vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddingResponse {
    /// `list`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// The vectors; their order is that of the texts, and `index` says so.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub data: Field<Vec<Embedding>>,
    /// What made them.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub model: Field<String>,
    /// How many tokens it took.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub usage: Field<Usage>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One text's vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Which of the texts.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub index: Field<u32>,
    /// The vector.
    pub embedding: Vector,
    /// `embedding`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub object: Field<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A vector as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Vector {
    /// Its numbers.
    Floats(Vec<Float>),
    /// Its numbers as little-endian `f32`s, in base64.
    Base64(String),
}

impl Vector {
    /// Returns the numbers.
    ///
    /// # Errors
    ///
    /// When what should be base64 is not, or is not of whole numbers.
    #[expect(clippy::cast_possible_truncation, reason = "models calculate with 32 bits or fewer")]
    pub fn to_f32(&self) -> Result<Vec<f32>, BadVector> {
        match self {
            Self::Floats(floats) => Ok(floats.iter().map(|float| float.get() as f32).collect()),
            Self::Base64(text) => from_base64(text),
        }
    }
}

fn from_base64(text: &str) -> Result<Vec<f32>, BadVector> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| BadVector(()))?;
    let (numbers, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(BadVector(()));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// Says that a vector in base64 is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("vector is not 32-bit numbers in base64")]
pub struct BadVector(());
