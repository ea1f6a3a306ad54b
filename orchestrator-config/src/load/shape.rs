//! Whether a tree has the shape that the schema says.

use std::net::SocketAddr;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::Value as Json;

use super::toml;
use super::tree::{Node, Value};
use crate::fault::Problem;
use crate::file::Digest;
use crate::path::{Path, Step};
use crate::words;

static SCHEMA: LazyLock<Json> = LazyLock::new(crate::schema);

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .with_format("time-span", |text: &str| humantime::parse_duration(text).is_ok())
        .with_format("socket-address", |text: &str| text.parse::<SocketAddr>().is_ok())
        .with_format("sha256", |text: &str| Digest::parse(text).is_some())
        .with_format("http-url", is_http_url)
        .build(&SCHEMA)
        .expect("it is made of the types, and tests build it")
});

/// The names of the sections.
pub(super) fn sections() -> Vec<String> {
    properties(&SCHEMA)
}

/// Only so much as tells a URL from anything else: what builds the client looks closer.
fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}

/// Checks the shape of a tree, and returns it as JSON. Texts of the environment become what they mean where no text can stand.
pub(super) fn check(tree: &mut Node) -> (Json, Vec<Problem>) {
    let json = tree.to_json();
    let problems = problems(&json, tree);
    let mut is_other = false;
    for problem in &problems {
        if let Some(node) = tree.get_mut(&problem.path)
            && let Some(other) = meant(node)
        {
            *node = other;
            is_other = true;
        }
    }
    if !is_other {
        return (json, problems);
    }
    let json = tree.to_json();
    let problems = self::problems(&json, tree);
    (json, problems)
}

/// What a text of the environment says in TOML, where that is no text.
pub(super) fn meant(node: &Node) -> Option<Node> {
    let Value::Text(text) = &node.value else { return None };
    let value = text.from_environment.then(|| toml::value(&text.text, &node.place)).flatten()?;
    (!matches!(value.value, Value::Text(_))).then_some(value)
}

fn problems(json: &Json, tree: &Node) -> Vec<Problem> {
    VALIDATOR.iter_errors(json).flat_map(|error| problems_of(&error, json, tree)).collect()
}

fn problems_of(error: &ValidationError<'_>, json: &Json, tree: &Node) -> Vec<Problem> {
    let path = path(error.instance_path());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => unknown(&path, unexpected, &properties(above(error))),
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => choose(context, &path, error, json, tree),
        _ => vec![problem_of(error, path, json, tree)],
    }
}

fn unknown(path: &Path, names: &[String], known: &[String]) -> Vec<Problem> {
    let unknown =
        |name: &String| Problem::new(path.key(name), "is not known").expected(words::one_of_or_near(name, known));
    names.iter().map(unknown).collect()
}

fn problem_of(error: &ValidationError<'_>, path: Path, json: &Json, tree: &Node) -> Problem {
    let value = value_of(error, json);
    let shown = shown(tree, &path, value);
    match error.kind() {
        Kind::Required { property } => missing(path, property.as_str().unwrap_or_default(), above(error)),
        Kind::Type { kind } => {
            Problem::new(path, format!("is {}", words::kind_of(value))).expected(words::kinds(&types(kind)))
        }
        Kind::Enum { options } => Problem::new(path, format!("{shown} is not known")).expected(words::list(options)),
        Kind::Constant { expected_value } => {
            let expected = format!("`{}`", words::plain(expected_value));
            Problem::new(path, format!("{shown} is not known")).expected(expected)
        }
        Kind::Format { format } => of_another_form(path, format, &shown),
        Kind::Minimum { limit } => Problem::new(path, "is too small").expected(format!("at least {limit}")),
        Kind::Maximum { limit } => Problem::new(path, "is too large").expected(format!("at most {limit}")),
        Kind::MinLength { .. } => Problem::new(path, "is empty").expected("a text"),
        Kind::MinItems { limit } => Problem::new(path, "is empty").expected(format!("at least {limit}")),
        _ => {
            Problem::new(path, "cannot be so").expected(format!("what the schema says of it ({})", error.schema_path()))
        }
    }
}

fn value_of<'a>(error: &ValidationError<'_>, json: &'a Json) -> &'a Json {
    json.pointer(error.instance_path().as_str()).unwrap_or(&Json::Null)
}

fn missing(path: Path, name: &str, schema: &Json) -> Problem {
    let purpose = words::purpose(&schema["properties"][name]);
    Problem::new(path, format!("`{name}` is missing")).expected(format!("`{name}`{purpose}"))
}

fn of_another_form(path: Path, format: &str, shown: &str) -> Problem {
    let (noun, expected) = words::format(format);
    let shown = if may_hold_a_key(format) { HIDDEN } else { shown };
    Problem::new(path, format!("{shown} is not {noun}")).expected(expected)
}

/// What is wrong with a value that may be one of several kinds: what is wrong with it as the kind that it says it is.
fn choose(
    context: &[Vec<ValidationError<'static>>],
    path: &Path,
    error: &ValidationError<'_>,
    json: &Json,
    tree: &Node,
) -> Vec<Problem> {
    let is_other_kind = |error: &ValidationError<'_>| {
        let at = self::path(error.instance_path());
        let is_tag = at.steps().len() == path.steps().len() + 1;
        match error.kind() {
            Kind::Type { .. } | Kind::Enum { .. } => at == *path,
            Kind::Constant { .. } => at == *path || is_tag,
            Kind::Required { property } => at == *path && TAGS.iter().any(|tag| property == tag),
            _ => false,
        }
    };
    let mut chosen = context.iter().filter(|errors| !errors.iter().any(is_other_kind));
    if let (Some(errors), None) = (chosen.next(), chosen.next()) {
        return errors.iter().flat_map(|error| problems_of(error, json, tree)).collect();
    }
    vec![none_of_them(context, path, error, json, tree)]
}

/// The settings that tell which kind a value is of.
const TAGS: [&str; 2] = ["kind", "stage"];

fn none_of_them(
    context: &[Vec<ValidationError<'static>>],
    path: &Path,
    error: &ValidationError<'_>,
    json: &Json,
    tree: &Node,
) -> Problem {
    let value = value_of(error, json);
    let constants: Vec<_> = context.iter().flatten().filter_map(constant).collect();
    let tag = TAGS.into_iter().find(|tag| above(error).to_string().contains(&format!("\"required\":[\"{tag}\"")));
    match (value, tag) {
        (Json::Object(entries), Some(tag)) => match entries.get(tag) {
            Some(found) => unknown_value(tree, path.key(tag), found, &constants),
            None => {
                Problem::new(path.clone(), format!("`{tag}` is missing")).expected(words::one_of(&all_tags(error, tag)))
            }
        },
        (Json::String(_), _) if !constants.is_empty() => unknown_value(tree, path.clone(), value, &constants),
        _ => of_another_kind(context, path.clone(), value, constants.is_empty()),
    }
}

fn unknown_value(tree: &Node, path: Path, value: &Json, known: &[String]) -> Problem {
    let problem = format!("{} is not known", shown(tree, &path, value));
    Problem::new(path, problem).expected(words::one_of_or_near(&words::plain(value), known))
}

fn of_another_kind(
    context: &[Vec<ValidationError<'static>>],
    path: Path,
    value: &Json,
    any_text_will_do: bool,
) -> Problem {
    let mut kinds: Vec<_> = context.iter().flatten().filter_map(type_of).flatten().collect();
    kinds.dedup();
    let kinds = if any_text_will_do { kinds } else { vec!["string".to_owned()] };
    Problem::new(path, format!("is {}", words::kind_of(value))).expected(words::kinds(&kinds))
}

fn constant(error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        Kind::Constant { expected_value } => Some(words::plain(expected_value)),
        Kind::Enum { options } => Some(words::plain(options.get(0)?)),
        _ => None,
    }
}

fn type_of(error: &ValidationError<'_>) -> Option<Vec<String>> {
    match error.kind() {
        Kind::Type { kind } => Some(types(kind)),
        _ => None,
    }
}

fn types(kind: &TypeKind) -> Vec<String> {
    match kind {
        TypeKind::Single(kind) => vec![kind.to_string()],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
    }
}

/// What a kind can be called, by the schema.
fn all_tags(error: &ValidationError<'_>, tag: &str) -> Vec<String> {
    let choices = above(error)["oneOf"].as_array().cloned().unwrap_or_default();
    choices.iter().map(|choice| words::plain(&choice["properties"][tag]["const"])).collect()
}

/// The part of the schema that the keyword of an error stands in.
fn above(error: &ValidationError<'_>) -> &'static Json {
    let place = error.schema_path().as_str();
    let above = place.rsplit_once('/').map_or("", |(above, _)| above);
    SCHEMA.pointer(above).unwrap_or(&Json::Null)
}

fn properties(schema: &Json) -> Vec<String> {
    schema["properties"].as_object().map(|entries| entries.keys().cloned().collect()).unwrap_or_default()
}

/// Whether what people put where such a text belongs may be a key: in place of its digest, or in the query of a URL.
fn may_hold_a_key(format: &str) -> bool {
    matches!(format, "sha256" | "http-url")
}

/// What stands for a value that is not shown.
const HIDDEN: &str = "its value";

/// A value as messages may show it: what came from the environment may be a secret.
fn shown(tree: &Node, path: &Path, value: &Json) -> String {
    match tree.get(path).map(|node| &node.value) {
        Some(Value::Text(text)) if text.from_environment => HIDDEN.to_owned(),
        _ => format!("`{}`", words::short(&words::plain(value))),
    }
}

fn path(location: &Location) -> Path {
    let step = |segment: LocationSegment<'_>| match segment {
        LocationSegment::Property(name) => Step::Key(name.into_owned()),
        LocationSegment::Index(index) => Step::Index(index),
    };
    location.segments().map(step).collect()
}
