//! What templates see: values that are made when a template asks for them.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use orchestrator_core::request::Message;
use orchestrator_core::retrieval::Passage;

/// The variables of one rendering.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) own: Vec<(&'static str, Value)>,
    pub(super) shared: Arc<Vec<(&'static str, Value)>>,
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.own.iter().chain(&*self.shared).find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }
}

/// The best `count` passages.
#[derive(Debug)]
pub(super) struct PassagesView {
    pub(super) passages: Arc<[Passage]>,
    pub(super) count: usize,
}

impl Object for PassagesView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let place = key.as_usize().filter(|place| *place < self.count)?;
        Some(Value::from_object(PassageView { passages: self.passages.clone(), place }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.count)
    }
}

#[derive(Debug)]
struct PassageView {
    passages: Arc<[Passage]>,
    place: usize,
}

const FIELDS: [&str; 9] = ["number", "source", "document", "headings", "lines", "page", "text", "score", "metadata"];

impl Object for PassageView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let Passage { text, source, score, metadata, .. } = &self.passages[self.place];
        Some(match key {
            "number" => Value::from(self.place + 1),
            "source" => Value::from(source.to_string()),
            "document" => Value::from(&source.document),
            "headings" => Value::from_iter(source.headings.iter().map(Value::from)),
            "lines" => source.lines.map_or(Value::from(()), |(first, last)| Value::from(format!("{first}-{last}"))),
            "page" => source.page.map_or(Value::from(()), Value::from),
            "text" => Value::from(text),
            "score" => Value::from(*score),
            "metadata" => Value::from_pairs(metadata.iter()),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&FIELDS)
    }
}

/// A message as `role` and `text`.
pub(super) fn message(message: &Message) -> [(&'static str, Value); 2] {
    [("role", Value::from(message.role().as_str())), ("text", text(message))]
}

fn text(message: &Message) -> Value {
    match message.text() {
        Cow::Borrowed(text) => Value::from(text),
        Cow::Owned(text) => Value::from(text),
    }
}

/// Turns as lists of messages.
pub(super) fn turns<'a>(turns: impl Iterator<Item = &'a [Message]>) -> Value {
    let turn = |messages: &[Message]| Value::from_iter(messages.iter().map(|m| Value::from_pairs(message(m))));
    Value::from_iter(turns.map(turn))
}
