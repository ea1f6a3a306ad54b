//! Numbers that come back as they were.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A number for calculating that remembers how JSON wrote it: `1` stays `1`, and `1.0` stays `1.0`.
///
/// What is not finite is written as `null`, as everywhere in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Float(Written);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Written {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Float {
    /// Returns the number; an integer above 2^53 is rounded.
    #[expect(clippy::cast_precision_loss, reason = "that is what it says")]
    pub fn get(self) -> f64 {
        match self.0 {
            Written::Unsigned(value) => value as f64,
            Written::Signed(value) => value as f64,
            Written::Float(value) => value,
        }
    }
}

impl From<f64> for Float {
    fn from(value: f64) -> Self {
        Self(Written::Float(value))
    }
}

impl From<f64> for super::Field<Float> {
    fn from(value: f64) -> Self {
        Self::Value(value.into())
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Written::Unsigned(value) => serializer.serialize_u64(value),
            Written::Signed(value) => serializer.serialize_i64(value),
            Written::Float(value) => serializer.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Float;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Float, E> {
        Ok(Float(Written::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Float, E> {
        Ok(Float(Written::Signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Float, E> {
        Ok(Float(Written::Float(value)))
    }
}
