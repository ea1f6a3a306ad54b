//! How faults are worded.

use serde_json::Value as Json;

/// How alike a name must be to be meant, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The most bytes of a value that are shown.
const SHORT: usize = 60;

/// What a format is called, and what it looks like.
pub(crate) fn format(format: &str) -> (&'static str, &'static str) {
    match format {
        "time-span" => ("a length of time", "a number and its unit, such as 250ms, 10s or 2m 30s"),
        "socket-address" => ("an address", "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
        "sha256" => ("a SHA-256", "64 hexadecimal digits"),
        "http-url" => ("a URL", "http:// or https:// and a host, such as http://127.0.0.1:8081"),
        _ => ("of its form", "another form"),
    }
}

/// What a value is, in words.
pub(crate) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "empty",
        Json::Bool(_) => "`true` or `false`",
        Json::Number(number) if number.is_f64() => "a number with a fraction",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a table",
    }
}

/// The kinds that a value may be of, in words.
pub(crate) fn kinds(kinds: &[String]) -> String {
    let words = kinds.iter().map(|kind| match kind.as_str() {
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        _ => "a table",
    });
    words.collect::<Vec<_>>().join(", or ")
}

/// Names to choose from.
pub(crate) fn one_of(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing here".to_owned(),
        [only] => only.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}

/// The name that was meant, where one is alike; else all.
pub(crate) fn one_of_or_near(name: &str, names: &[String]) -> String {
    let name = name.to_lowercase();
    let alike = |other: &&String| strsim::jaro_winkler(&name, &other.to_lowercase());
    let nearest = names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) if names.len() > 1 => format!("{}; did you mean `{nearest}`?", one_of(names)),
        _ => one_of(names),
    }
}

pub(crate) fn list(options: &Json) -> String {
    let names: Vec<_> = options.as_array().map(|all| all.iter().map(plain).collect()).unwrap_or_default();
    one_of(&names)
}

/// A text without its quotes; anything else as JSON.
pub(crate) fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text, as much as is shown.
pub(crate) fn short(text: &str) -> String {
    let end = (0..=SHORT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    if end < text.len() { format!("{}..", &text[..end]) } else { text.to_owned() }
}

/// What a setting is for: the first sentence of its description.
pub(crate) fn purpose(schema: &Json) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    let first = description.split(['.', ';', ':']).next().unwrap_or_default();
    let mut letters = first.chars();
    match letters.next() {
        Some(first) => format!(", {}{}", first.to_lowercase(), letters.as_str().replace('\n', " ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_alike_is_meant() {
        let names = ["pipelines".to_owned(), "pools".to_owned(), "workers".to_owned()];
        assert!(one_of_or_near("piplines", &names).ends_with("did you mean `pipelines`?"));
        assert!(!one_of_or_near("xyz", &names).contains("did you mean"));
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        assert_eq!(short(&"é".repeat(40)), format!("{}..", "é".repeat(30)));
        assert_eq!(short("10"), "10");
    }
}
