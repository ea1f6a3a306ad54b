//! `${NAME}` in texts.

use std::collections::BTreeMap;

use super::tree::Node;
use crate::fault::{Place, Problem};
use crate::path::Path;

/// Puts the values of variables into the texts of the file that name them; returns what cannot be.
pub(super) fn insert(tree: &mut Node, environment: &BTreeMap<String, String>) -> Vec<(Place, Problem)> {
    let mut faults = Vec::new();
    tree.texts(&Path::root(), &mut |path, place, text| match expand(&text.text, environment) {
        Ok(None) => {}
        _ if text.from_environment => {}
        Ok(Some(expanded)) => *text = expanded,
        Err((problem, expected)) => {
            faults.push((place.clone(), Problem::new(path.clone(), problem).expected(expected)));
        }
    });
    faults
}

/// What is wrong, and what would be right.
type Wrong = (String, &'static str);

/// Writes a text with its variables; `None` where there is nothing to write.
fn expand(text: &str, environment: &BTreeMap<String, String>) -> Result<Option<super::tree::Text>, Wrong> {
    if !text.contains("${") {
        return Ok(None);
    }
    let (mut written, mut rest, mut from_environment) = (String::new(), text, false);
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            written.push_str(&rest[..at]);
            written.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        written.push_str(&rest[..at]);
        let (inside, behind) = rest[at + 2..].split_once('}').ok_or_else(unclosed)?;
        written.push_str(value(inside, environment)?);
        from_environment = true;
        rest = behind;
    }
    written.push_str(rest);
    Ok(Some(super::tree::Text { text: written, from_environment }))
}

fn value<'a>(inside: &'a str, environment: &'a BTreeMap<String, String>) -> Result<&'a str, Wrong> {
    let (name, otherwise) = inside.split_once(":-").map_or((inside, None), |(name, other)| (name, Some(other)));
    if !is_name(name) {
        return Err((
            format!("`{name}` is no name of a variable"),
            "`${NAME}`, or `$${` for the characters themselves",
        ));
    }
    let set = environment.get(name).map(String::as_str).filter(|value| otherwise.is_none() || !value.is_empty());
    let unset = || (format!("the variable `{name}` is not set"), "it in the environment, or `${NAME:-a default}`");
    set.or(otherwise).ok_or_else(unset)
}

fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(rest)
}

fn unclosed() -> Wrong {
    ("`${` is not closed".to_owned(), "`${NAME}`, or `$${` for the characters themselves")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let environment = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let expanded = expand(text, &environment).map_err(|(problem, _)| problem)?;
        Ok(expanded.map_or_else(|| text.to_owned(), |text| text.text))
    }

    #[test]
    fn variables_are_written_in_their_place() {
        for (text, expected) in [
            ("plain $A {A}", "plain $A {A}"),
            ("${A}", "1"),
            ("<${A}|${A}>", "<1|1>"),
            ("${B:-other}", "other"),
            ("${A:-other}", "1"),
            ("${EMPTY:-other}", "other"),
            ("${EMPTY}", ""),
            ("${B:-}", ""),
            ("$${A}", "${A}"),
            ("$${A} ${A}", "${A} 1"),
        ] {
            assert_eq!(written(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        assert_eq!(written("${B}"), Err("the variable `B` is not set".to_owned()));
        assert_eq!(written("${A"), Err("`${` is not closed".to_owned()));
        assert_eq!(written("${}"), Err("`` is no name of a variable".to_owned()));
        assert_eq!(written("${1A}"), Err("`1A` is no name of a variable".to_owned()));
    }
}
