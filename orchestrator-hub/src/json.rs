//! Reading JSON that anybody may have sent.

use serde::de::DeserializeOwned;

use crate::fault::{Fault, FaultKind};

/// How many values a body may hold; each may take a hundred times the memory of its text.
const MOST_VALUES: usize = 250_000;

/// Bodies shorter than this cannot hold too many values.
const SHORT: usize = MOST_VALUES;

/// Reads a request's body.
///
/// # Errors
///
/// Names the field that is wrong, where it is a field.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    if body.len() > SHORT && values(body) > MOST_VALUES {
        return Err(Fault::new(FaultKind::Invalid, format!("the body holds more than {MOST_VALUES} values")));
    }
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Reads once more, slowly, to find out where the fault is.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Fault {
    if !error.is_data() {
        return Fault::new(FaultKind::Invalid, format!("the body is not JSON: {error}"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let path = serde_path_to_error::deserialize::<_, T>(&mut reader).err().map(|error| error.path().to_string());
    let mut fault = Fault::new(FaultKind::Invalid, error.to_string());
    fault.param = path.filter(|path| path != ".").or_else(|| named(&error.to_string()));
    fault
}

/// The field that is not there, or there twice. Whatever else serde quotes may be the client's words.
fn named(message: &str) -> Option<String> {
    let of = |prefix| message.strip_prefix(prefix);
    let rest = of("missing field `").or_else(|| of("duplicate field `"))?;
    rest.split('`').next().map(str::to_owned)
}

/// Counts at least as many values as there are, but for the outermost one: each other stands behind a comma or a bracket.
fn values(body: &[u8]) -> usize {
    let (mut values, mut rest) = (0, body);
    while let Some(start) = memchr::memchr(b'"', rest) {
        values += separators(&rest[..start]);
        rest = behind_text(&rest[start + 1..]);
    }
    values + separators(rest)
}

fn separators(between: &[u8]) -> usize {
    between.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// What stands behind the end of a text, of which this is the inside and all that follows.
fn behind_text(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest[place] == b'"';
        rest = rest.get(place + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "what matters is where reading it fails")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "what matters is where reading it fails")]
        count: u32,
    }

    #[test]
    fn the_wrong_field_is_named() {
        let param = |body: &str| read::<Outer>(body.as_bytes()).expect_err("wrong").param;
        assert_eq!(param(r#"{"inner":[{"count":"x"}]}"#).as_deref(), Some("inner[0].count"));
        assert_eq!(param(r#"{"inner":[{"count":-1}]}"#).as_deref(), Some("inner[0].count"));
        assert_eq!(param(r"{}").as_deref(), Some("inner"));
        assert_eq!(param("{"), None);
        assert_eq!(read::<Outer>(b"{\"inner\":\"\xff\"}").expect_err("no UTF-8").kind, FaultKind::Invalid);
    }

    #[test]
    fn a_body_of_too_many_values_is_not_read() {
        let bomb = format!("[{}1]", "[],".repeat(MOST_VALUES));
        assert!(read::<Value>(bomb.as_bytes()).expect_err("a bomb").message.contains("more than"));
        let text = format!("[\"{}\"]", "[{,\\\"".repeat(MOST_VALUES));
        assert!(read::<Value>(text.as_bytes()).is_ok(), "brackets in a text are no values");
        assert_eq!(values(br#"{"a\\":[1,"\"[,\"",{}],"b":"x"#), 6, "a text ends at a quote that is not escaped");
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read::<Value>("[".repeat(100_000).as_bytes()).is_err());
    }
}
