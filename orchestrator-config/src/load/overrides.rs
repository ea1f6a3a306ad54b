//! Variables that go before the file.

use std::collections::BTreeMap;

use super::tree::{Entry, Node, Text, Value};
use crate::fault::{Fault, Place, Problem};
use crate::path::{Path, Step};
use crate::words;

const PREFIX: &str = "ORCHESTRATOR_";

/// Sections whose settings have names of the user's.
const NAMED: [&str; 4] = ["workers", "pools", "pipelines", "tenants"];

/// Puts the values of `ORCHESTRATOR_SECTION__SETTING` into the tree, in place of what the file says; what is for a part of a
/// setting behind what is for the whole of it.
///
/// Without a `__` a variable counts only where it names a whole section: container platforms set such as `ORCHESTRATOR_PORT` by
/// themselves.
pub(super) fn apply(tree: &mut Node, environment: &BTreeMap<String, String>) -> Vec<Fault> {
    let sections = super::shape::sections();
    let mut settings: Vec<_> =
        environment.iter().filter_map(|(name, value)| Some((steps(name)?, name, value))).collect();
    settings.sort_by_cached_key(|(steps, ..)| order(steps));
    let mut faults = Vec::new();
    for (steps, name, value) in settings {
        let place = Place::Variable(name.clone());
        let set = match section(steps[0], &sections) {
            Ok(()) => put(tree, &steps, value, &place),
            Err(_) if steps.len() == 1 => Ok(()),
            Err(unknown) => Err(unknown),
        };
        faults.extend(set.err().map(|problem| problem.at(place)));
    }
    faults
}

/// The parts of a variable's name; `None` where it is another's.
fn steps(name: &str) -> Option<Vec<&str>> {
    let (prefix, setting) = name.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then(|| setting.split("__").collect())
}

/// By what variables are put in order: the whole before its parts, and places in a list by their numbers.
fn order(steps: &[&str]) -> Vec<(Option<usize>, String)> {
    steps.iter().map(|step| (step.parse().ok(), step.to_lowercase())).collect()
}

fn section(name: &str, sections: &[String]) -> Result<(), Problem> {
    if sections.iter().any(|section| section.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let section = name.to_lowercase();
    let problem = Problem::new(Path::root().key(&section), "is not known");
    Err(problem.expected(words::one_of_or_near(&section, sections)))
}

fn put(tree: &mut Node, steps: &[&str], value: &str, place: &Place) -> Result<(), Problem> {
    let mut path = Path::root();
    let mut node = tree;
    for step in steps {
        unfold(node, &path)?;
        let step = step_into(node, step, &path)?;
        path = path.with(step.clone());
        node = enter(node, step, place);
    }
    *node = Node { place: place.clone(), value: Value::Text(Text { text: value.to_owned(), from_environment: true }) };
    Ok(())
}

/// Reads what another variable says of the whole, of which a part is to be put in place.
fn unfold(node: &mut Node, path: &Path) -> Result<(), Problem> {
    let Value::Text(Text { from_environment: true, .. }) = &node.value else { return Ok(()) };
    let whole = super::shape::meant(node).filter(|whole| matches!(whole.value, Value::Map(_) | Value::List(_)));
    let problem = || Problem::new(path.clone(), "has no parts by the variable that is for the whole of it");
    *node = whole.ok_or_else(|| problem().expected("a table or a list in that one"))?;
    Ok(())
}

/// Finds what a part of a variable's name means there: a key in whatever case, with `_` for any other character than a letter
/// or a digit, or a number in a list.
fn step_into(node: &Node, step: &str, path: &Path) -> Result<Step, Problem> {
    if step.is_empty() {
        return Err(Problem::new(path.clone(), "is followed by no name").expected("`__` between names only"));
    }
    match &node.value {
        Value::Map(entries) => {
            let known = entries.keys().find(|key| same(key, step)).cloned();
            Ok(Step::Key(known.unwrap_or_else(|| step.to_lowercase())))
        }
        Value::List(items) => place_in_list(step, items.len(), path),
        _ if step.bytes().all(|byte| byte.is_ascii_digit()) && !path.steps().is_empty() && !is_named(path) => {
            place_in_list(step, 0, path)
        }
        _ => Ok(Step::Key(step.to_lowercase())),
    }
}

/// The place that a number means, the one behind the last among them.
fn place_in_list(step: &str, length: usize, path: &Path) -> Result<Step, Problem> {
    let index = step.parse().ok().filter(|index| *index <= length);
    let problem = || Problem::new(path.clone(), format!("`{step}` is no place in the list"));
    index.map(Step::Index).ok_or_else(|| problem().expected(format!("a number from 0 to {length}")))
}

/// Whether the names there are the user's, so that `0` may be one.
fn is_named(path: &Path) -> bool {
    matches!(path.steps(), [Step::Key(section)] if NAMED.contains(&section.as_str()))
}

fn same(key: &str, step: &str) -> bool {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    key.chars().map(plain).eq(step.chars().map(plain))
}

/// Goes there; what is not there, or is no list or map, is made one.
fn enter<'a>(node: &'a mut Node, step: Step, place: &Place) -> &'a mut Node {
    let empty = || Node { place: place.clone(), value: Value::Null };
    match step {
        Step::Key(key) => {
            if !matches!(node.value, Value::Map(_)) {
                node.value = Value::Map(BTreeMap::new());
            }
            let Value::Map(entries) = &mut node.value else { unreachable!("it has just been made one") };
            let entry = entries.entry(key).or_insert_with(|| Entry { key: place.clone(), node: empty() });
            &mut entry.node
        }
        Step::Index(index) => {
            if !matches!(node.value, Value::List(_)) {
                node.value = Value::List(Vec::new());
            }
            let Value::List(items) = &mut node.value else { unreachable!("it has just been made one") };
            if index >= items.len() {
                items.push(empty());
            }
            let last = items.len() - 1;
            &mut items[index.min(last)]
        }
    }
}
