//! What the last frames of an answer say beyond what is known.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::chunk::missing;

/// Fields of a chunk, its choice and its usage that have a place of their own, or say nothing.
const OF_CHUNK: &[&str] = &["created", "id", "model", "object", "system_fingerprint"];
const OF_CHOICE: &[&str] = &["delta", "finish_reason", "index", "prompt_token_ids", "text", "token_ids"];
const OF_USAGE: &[&str] = &["completion_tokens", "prompt_tokens", "prompt_tokens_details", "total_tokens"];

/// What a frame says that has no place of its own, looked through once.
#[derive(Debug, Default)]
pub(super) struct Beyond<'a> {
    pub(super) chunk: Fields<'a>,
    /// Of the first choice.
    pub(super) choice: Fields<'a>,
    pub(super) usage: Fields<'a>,
}

impl<'a> Beyond<'a> {
    /// Reads an object; `None` where it is something else.
    pub(super) fn of(frame: &'a str) -> Option<Self> {
        serde_json::Deserializer::from_str(frame).deserialize_map(FrameVisitor).ok()
    }
}

/// Fields of an object, whose values are not read until they are asked for.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 4]>);

impl Fields<'_> {
    /// Reads the fields that are not `null`.
    pub(super) fn read(self) -> impl Iterator<Item = (String, Value)> {
        let told = self.0.into_iter().filter(|(_, value)| value.get() != "null");
        told.filter_map(|(name, value)| Some((name.into_owned(), serde_json::from_str(value.get()).ok()?)))
    }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Beyond<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Beyond<'de>, A::Error> {
        let mut beyond = Beyond::default();
        while let Some(name) = map.next_key_seed(Name { known: OF_CHUNK })? {
            // Of several with one name the last one holds.
            match name {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(name) if name == "choices" => {
                    beyond.choice = map.next_value_seed(FirstChoice)?.unwrap_or_default();
                }
                Some(name) if name == "usage" => {
                    beyond.usage = map.next_value_seed(Object { known: OF_USAGE })?.unwrap_or_default();
                }
                Some(name) => beyond.chunk.0.push((name, map.next_value()?)),
            }
        }
        Ok(beyond)
    }
}

/// The first of a list of choices; `None` where it is no list.
struct FirstChoice;

impl<'de> DeserializeSeed<'de> for FirstChoice {
    type Value = Option<Fields<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FirstChoice {
    type Value = Option<Fields<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut choices: A) -> Result<Self::Value, A::Error> {
        let first = choices.next_element_seed(Object { known: OF_CHOICE })?.flatten();
        while choices.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }

    missing!(u64, i64, f64, bool, str, unit, map);
}

/// An object but for what is known of it, which is most; `None` where it is something else.
struct Object {
    known: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Option<Fields<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Option<Fields<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key_seed(Name { known: self.known })? {
            match name {
                Some(name) => fields.0.push((name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(fields))
    }

    missing!(u64, i64, f64, bool, str, unit, seq);
}

/// A name, borrowed where it has no escapes; `None` where it is known.
struct Name {
    known: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok((!self.known.contains(&name)).then_some(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((!self.known.contains(&name)).then(|| Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_no_place_of_its_own_is_kept_of_the_first_choice_and_the_last_of_each_name() {
        let read = |frame: &str| {
            let Beyond { chunk, choice, usage } = Beyond::of(frame).expect("an object");
            [chunk, choice, usage].map(|fields| Value::Object(fields.read().collect()))
        };
        let cases = [
            (r#"{"id":"x","a":1,"b":null}"#, [json!({"a": 1}), json!({}), json!({})]),
            (r#"{"choices":[{"a":1},{"b":2}]}"#, [json!({}), json!({"a": 1}), json!({})]),
            (r#"{"choices":[{"a":1}],"choices":[{"b":2}]}"#, [json!({}), json!({"b": 2}), json!({})]),
            (r#"{"choices":[null,{"a":1}]}"#, [json!({}), json!({}), json!({})]),
            (r#"{"choices":{"a":1},"usage":[{"a":1}]}"#, [json!({}), json!({}), json!({})]),
            (r#"{"choices":[{"a":1}],"choices":null}"#, [json!({}), json!({}), json!({})]),
            (r#"{"usage":{"a":1,"total_tokens":2},"c":"d"}"#, [json!({"c": "d"}), json!({}), json!({"a": 1})]),
            (r#"{"\u0075sage":{"\u0061":1},"usage":{"b":2.5}}"#, [json!({}), json!({}), json!({"b": 2.5})]),
            (r#"{"usage":true,"choices":"a"}"#, [json!({}), json!({}), json!({})]),
        ];
        for (frame, expected) in cases {
            assert_eq!(read(frame), expected, "{frame}");
        }
        assert!(Beyond::of("[1]").is_none());
    }
}
