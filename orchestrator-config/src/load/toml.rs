//! TOML to the tree.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Number;
use toml_edit::{Array, Document, InlineTable, Item, Key, Table, Value as Toml};

use super::tree::{Entry, Lines, Node, Value};
use crate::fault::{Fault, Place, Problem};
use crate::path::Path;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let lines = Lines::new(text);
    let document = Document::parse(text).map_err(|error| {
        let place = lines.place(error.span().map_or(0, |span| span.start));
        vec![Problem::new(Path::root(), format!("is no TOML: {}", error.message().replace('\n', " "))).at(place)]
    })?;
    Ok(Reader { lines: &lines }.table(document.as_table(), lines.place(0)))
}

/// Reads one value, as it may stand behind a `=`.
pub(super) fn value(text: &str, place: &Place) -> Option<Node> {
    let value: Toml = text.trim().parse().ok()?;
    let lines = Lines::new("");
    let mut node = Reader { lines: &lines }.value(&value);
    node.put_at(place);
    Some(node)
}

struct Reader<'a> {
    lines: &'a Lines<'a>,
}

impl Reader<'_> {
    fn place(&self, span: Option<Range<usize>>) -> Place {
        self.lines.place(span.map_or(0, |span| span.start))
    }

    fn table(&self, table: &Table, place: Place) -> Node {
        let entries = table.iter().filter_map(|(name, item)| self.entry(name, table.key(name), item));
        Node { place, value: Value::Map(entries.collect()) }
    }

    fn entry(&self, name: &str, key: Option<&Key>, item: &Item) -> Option<(String, Entry)> {
        let key = self.place(key.and_then(Key::span));
        let node = match item {
            Item::None => return None,
            Item::Value(value) => self.value(value),
            Item::Table(table) => self.table(table, key.clone()),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| self.table(table, self.place(table.span()))).collect();
                Node { place: key.clone(), value: Value::List(items) }
            }
        };
        Some((name.to_owned(), Entry { key, node }))
    }

    fn value(&self, value: &Toml) -> Node {
        let place = self.place(value.span());
        let value = match value {
            Toml::String(text) => return Node::text(place, text.value()),
            Toml::Datetime(time) => return Node::text(place, time.value().to_string()),
            Toml::Boolean(value) => Value::Bool(*value.value()),
            Toml::Integer(number) => Value::Number((*number.value()).into()),
            // JSON has no infinity; the schema will say that it is no number.
            Toml::Float(number) => match Number::from_f64(*number.value()) {
                Some(number) => Value::Number(number),
                None => return Node::text(place, number.value().to_string()),
            },
            Toml::Array(items) => self.array(items),
            Toml::InlineTable(table) => self.inline(table),
        };
        Node { place, value }
    }

    fn array(&self, items: &Array) -> Value {
        Value::List(items.iter().map(|item| self.value(item)).collect())
    }

    fn inline(&self, table: &InlineTable) -> Value {
        let entries: BTreeMap<_, _> = table
            .iter()
            .map(|(name, value)| {
                let key = self.place(table.key(name).and_then(Key::span));
                (name.to_owned(), Entry { key, node: self.value(value) })
            })
            .collect();
        Value::Map(entries)
    }
}

impl Node {
    /// Puts it, with all that it holds, where a variable stands.
    fn put_at(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.put_at(place)),
            Value::Map(entries) => entries.values_mut().for_each(|entry| {
                entry.key = place.clone();
                entry.node.put_at(place);
            }),
            Value::Text(text) => text.from_environment = true,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
