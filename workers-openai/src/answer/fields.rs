use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The fields of an object, whose values are not read until they are asked for: most of a frame is known already.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(SmallVec<[(Name<'a>, &'a RawValue); 12]>);

impl<'a> Fields<'a> {
    /// Reads an object; `None` where it is something else.
    pub(super) fn of(object: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(object).ok()
    }

    /// Returns a field's value as it is written. Of several with the name the last one holds.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rfind(|(field, _)| field.0 == name).map(|(_, value)| *value)
    }

    /// Reads the fields that have other names than these, and are not `null`.
    pub(super) fn unknown(&self, known: &'static [&'static str]) -> impl Iterator<Item = (String, Value)> {
        let unknown = self.0.iter().filter(|(name, value)| !known.contains(&&*name.0) && value.get() != "null");
        unknown.filter_map(|(name, value)| Some((name.0.to_string(), serde_json::from_str(value.get()).ok()?)))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = SmallVec<[(Name<'de>, &'de RawValue); 12]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = SmallVec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Debug, serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
