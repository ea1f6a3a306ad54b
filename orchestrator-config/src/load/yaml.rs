//! YAML to the tree: one document, keys that are texts, and aliases that cannot grow beyond bounds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::Number;

use super::tree::{CharLines, Entry, Node, Value};
use crate::fault::{Fault, Place, Problem};
use crate::path::{Path, Step};

/// Values in a document, those that aliases repeat among them.
const MOST_NODES: usize = 100_000;

/// How deep lists and maps may lie in each other.
const DEEPEST: usize = 64;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        lines: CharLines::new(text),
        anchors: BTreeMap::new(),
        nodes: 0,
        path: Vec::new(),
        faults: Vec::new(),
    };
    match reader.document() {
        Ok(tree) if reader.faults.is_empty() => Ok(tree),
        Ok(_) => Err(reader.faults),
        Err(fault) => Err(reader.faults.into_iter().chain([fault]).collect()),
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    lines: CharLines,
    /// What aliases may repeat, and how many values that is.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    /// Where what is read stands.
    path: Vec<Step>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Fault> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, self.place(span.start))),
            Some(Err(error)) => Err(self.no_yaml(&error)),
            None => Ok((Event::StreamEnd, Place::File { line: 1, column: 1 })),
        }
    }

    /// By the characters before it: what the parser takes for the end of a line is more than editors do.
    fn place(&self, marker: Marker) -> Place {
        self.lines.place(marker.index())
    }

    fn no_yaml(&self, error: &ScanError) -> Fault {
        fault(self.place(*error.marker()), format!("is no YAML: {}", error.info()))
    }

    fn document(&mut self) -> Result<Node, Fault> {
        let empty = Node { place: Place::File { line: 1, column: 1 }, value: Value::Map(BTreeMap::new()) };
        let mut found = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(found.unwrap_or(empty)),
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
                (_, place) if found.is_some() => return Err(fault(place, "is a second document; there can be one")),
                (event, place) => {
                    let node = self.node(event, place, 0)?;
                    found = Some(if matches!(node.value, Value::Null) { empty.clone() } else { node });
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Fault> {
        let before = self.nodes;
        self.count(1, &place)?;
        if depth > DEEPEST {
            return Err(fault(place, format!("lies deeper than {DEEPEST} lists and maps")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => return self.alias(anchor, place),
            _ => return Err(fault(place, "is no value")),
        };
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, place) => items.push(self.part(Step::Index(items.len()), event, place, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut entries = BTreeMap::new();
        loop {
            let (name, key) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(name, ..), key) => (name.into_owned(), key),
                (_, key) => return Err(fault(key, "is a key that is no text")),
            };
            let (event, place) = self.next()?;
            let node = self.part(Step::Key(name.clone()), event, place, depth)?;
            match entries.entry(name) {
                Slot::Vacant(slot) => drop(slot.insert(Entry { key, node })),
                Slot::Occupied(slot) => {
                    let path = self.path.iter().cloned().collect::<Path>().key(slot.key());
                    self.faults.push(Problem::new(path, "stands there twice").at(key));
                }
            }
        }
    }

    /// Reads what stands there within a list or a map.
    fn part(&mut self, step: Step, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Fault> {
        self.path.push(step);
        let node = self.node(event, place, depth + 1)?;
        self.path.pop();
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Fault> {
        let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
            return Err(fault(place, "repeats what it is part of"));
        };
        self.count(nodes, &place)?;
        Ok(node)
    }

    /// Counts values, so that aliases of aliases cannot fill the memory.
    fn count(&mut self, nodes: usize, place: &Place) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes <= MOST_NODES {
            return Ok(());
        }
        Err(fault(place.clone(), format!("makes more than {MOST_NODES} values, aliases counted with what they repeat")))
    }
}

/// By the core schema of YAML 1.2: what is not in quotes and reads as a number is one.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style == ScalarStyle::Plain
        && !is_text
        && let Some(value) = plain(text)
    {
        return value;
    }
    Value::Text(super::tree::Text { text: text.to_owned(), from_environment: false })
}

fn plain(text: &str) -> Option<Value> {
    let begins_a_number = || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ if !begins_a_number() => None,
        _ => integer(text).or_else(|| Number::from_f64(text.parse().ok()?)).map(Value::Number),
    }
}

fn integer(text: &str) -> Option<Number> {
    let based = |digits: &str, base| u64::from_str_radix(digits, base).ok().map(Number::from);
    match text.get(..2) {
        Some("0x") => based(&text[2..], 16),
        Some("0o") => based(&text[2..], 8),
        _ => text.parse::<i64>().ok().map(Number::from),
    }
}

fn fault(place: Place, problem: impl Into<String>) -> Fault {
    Problem::new(Path::root(), problem).at(place)
}
