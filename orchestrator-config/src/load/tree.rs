use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use crate::fault::Place;
use crate::path::{Path, Step};

/// A value of a configuration that knows where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing behind a key: as if the key were not there.
    Null,
    Bool(bool),
    Number(Number),
    Text(Text),
    List(Vec<Node>),
    Map(BTreeMap<String, Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    /// Whether it came from the environment: then it may mean a number, and is not shown.
    pub(super) from_environment: bool,
}

/// What stands behind a key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn text(place: Place, text: impl Into<String>) -> Self {
        Self { place, value: Value::Text(Text { text: text.into(), from_environment: false }) }
    }

    /// The values alone; what is null in a map is left out.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.text.clone()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let set = entries.iter().filter(|(_, entry)| !matches!(entry.node.value, Value::Null));
                Json::Object(set.map(|(key, entry)| (key.clone(), entry.node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// Where a setting stands: its key, where it has one; of one that is not there, what it is missing in.
    pub(super) fn place_of(&self, path: &Path) -> Place {
        let (mut node, mut place) = (self, &self.place);
        for step in path.steps() {
            (node, place) = match (step, &node.value) {
                (Step::Key(key), Value::Map(entries)) => match entries.get(key) {
                    Some(entry) => (&entry.node, &entry.key),
                    None => break,
                },
                (Step::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(item) => (item, &item.place),
                    None => break,
                },
                _ => break,
            };
        }
        place.clone()
    }

    /// What stands there.
    pub(super) fn get(&self, path: &Path) -> Option<&Self> {
        path.steps().iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), Value::Map(entries)) => entries.get(key).map(|entry| &entry.node),
            (Step::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// What stands there, to be changed.
    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut Self> {
        path.steps().iter().try_fold(self, |node, step| match (step, &mut node.value) {
            (Step::Key(key), Value::Map(entries)) => entries.get_mut(key).map(|entry| &mut entry.node),
            (Step::Index(index), Value::List(items)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// Calls `visit` with each text, and the path to it.
    pub(super) fn texts(&mut self, path: &Path, visit: &mut impl FnMut(&Path, &Place, &mut Text)) {
        match &mut self.value {
            Value::Text(text) => visit(path, &self.place, text),
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.texts(&path.index(index), visit);
                }
            }
            Value::Map(entries) => {
                for (key, entry) in entries {
                    entry.node.texts(&path.key(key), visit);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Finds lines and columns, from 1 and in characters, of places that are counted in bytes.
pub(super) struct Lines<'a> {
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let behind = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: [0].into_iter().chain(behind).collect() }
    }

    pub(super) fn place(&self, byte: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= byte).max(1);
        let start = self.starts[line - 1];
        let before = self.text.get(start..byte.min(self.text.len())).unwrap_or_default();
        Place::File { line, column: before.chars().count() + 1 }
    }
}

/// The same of places that are counted in characters.
pub(super) struct CharLines {
    /// Where each line begins.
    starts: Vec<usize>,
    length: usize,
}

impl CharLines {
    pub(super) fn new(text: &str) -> Self {
        let behind = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1);
        Self { starts: [0].into_iter().chain(behind).collect(), length: text.chars().count() }
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let at = at.min(self.length);
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        Place::File { line, column: at - self.starts[line - 1] + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let lines = Lines::new("a = 1\nö = \"x\"\n");
        assert_eq!(lines.place(0), Place::File { line: 1, column: 1 });
        assert_eq!(lines.place("a = 1\nö".len()), Place::File { line: 2, column: 2 });
        assert_eq!(lines.place(usize::MAX), Place::File { line: 3, column: 1 });
        let lines = CharLines::new("a = 1\nö = \"x\"\n");
        assert_eq!(lines.place(7), Place::File { line: 2, column: 2 });
        assert_eq!(lines.place(usize::MAX), Place::File { line: 3, column: 1 });
    }
}
