//! Fields that may be missing, and may be null.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An optional field of a JSON object, which keeps apart "not there" and `null`.
///
/// Servers do: some refuse a `null` for what they would fill in themselves, and some send `null` where others send
/// nothing. What was read is therefore written again as it was. Reading, the difference seldom matters: [`get`](Self::get)
/// and [`into_option`](Self::into_option) don't make it. Writing, `.into()` makes a field of a value or of an `Option`.
///
/// # Examples
///
/// ```
/// use workers_openai::wire::{ChatMessage, ChatRequest};
///
/// let request = ChatRequest {
///     temperature: 0.2.into(),
///     max_tokens: Some(64).into(),
///     seed: None.into(),
///     ..ChatRequest::new("tiny", vec![ChatMessage::user("hello")])
/// };
/// let json = serde_json::to_string(&request)?;
/// assert_eq!(
///     json,
///     r#"{"model":"tiny","messages":[{"role":"user","content":"hello"}],"max_tokens":64,"temperature":0.2}"#
/// );
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Field<T> {
    /// The object has no such field.
    #[default]
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Field<T> {
    /// Returns the value, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Turns into the value, if there is one.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Returns whether the object has no such field: not even `null`.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

/// `None` becomes [`Absent`](Field::Absent).
impl<T> From<Option<T>> for Field<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

impl From<&str> for Field<String> {
    fn from(value: &str) -> Self {
        Self::Value(value.to_owned())
    }
}

/// An absent field must be skipped by the struct that it belongs to; where it stands alone, it is written as `null`.
impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}
