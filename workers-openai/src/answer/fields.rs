use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The fields of an object beyond those that are known already, which are most; their values are not read until they are asked
/// for.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 4]>);

impl<'a> Fields<'a> {
    /// Reads an object, but for what these names have; `None` where it is something else.
    pub(super) fn beyond(known: &'static [&'static str], object: &'a str) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(object);
        json.deserialize_map(FieldsVisitor(known)).ok()
    }

    /// Takes a field's value out, as it is written. Of several with the name the last one holds.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut last = None;
        self.0.retain(|(field, value)| {
            let is_it = field == name;
            last = if is_it { Some(*value) } else { last };
            !is_it
        });
        last
    }

    /// Reads the fields that are not `null`.
    pub(super) fn read(self) -> impl Iterator<Item = (String, Value)> {
        let told = self.0.into_iter().filter(|(_, value)| value.get() != "null");
        told.filter_map(|(name, value)| Some((name.into_owned(), serde_json::from_str(value.get()).ok()?)))
    }
}

struct FieldsVisitor(&'static [&'static str]);

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key_seed(Beyond(self.0))? {
            match name {
                Some(name) => fields.0.push((name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// A name, borrowed where it has no escapes; `None` where it is one of these.
struct Beyond(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Beyond {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Beyond {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok((!self.0.contains(&name)).then_some(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((!self.0.contains(&name)).then(|| Cow::Owned(name.to_owned())))
    }
}
