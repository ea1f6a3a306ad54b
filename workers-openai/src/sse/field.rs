//! What a line says.

use std::time::Duration;

use bytes::Bytes;

use super::lines::Line;

/// A field's value, and the chunk that it lies in, unless its line came in several.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) chunk: Option<&'a Bytes>,
}

impl Value<'_> {
    /// Returns a slice of the chunk, or a copy.
    #[inline]
    pub(super) fn to_bytes(self) -> Bytes {
        self.chunk.map_or_else(|| Bytes::copy_from_slice(self.bytes), |chunk| chunk.slice_ref(self.bytes))
    }
}

/// A line that is not blank.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Data(Value<'a>),
    Event(Value<'a>),
    Id(Value<'a>),
    Retry(Duration),
    /// A comment, an unknown field, or a value that the specification ignores.
    Ignored,
}

impl<'a> From<Line<'a>> for Field<'a> {
    #[inline]
    fn from(line: Line<'a>) -> Self {
        let (name, bytes) = split(line.bytes);
        let value = Value { bytes, chunk: line.chunk };
        match name {
            b"data" => Self::Data(value),
            b"event" => Self::Event(value),
            b"id" if !bytes.contains(&0) => Self::Id(value),
            b"retry" => milliseconds(bytes).map_or(Self::Ignored, Self::Retry),
            _ => Self::Ignored,
        }
    }
}

/// Splits a line at its first colon, and drops one space behind that.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    // The colon comes within a few bytes, if this is a field that we know: too few for a vectorised search to pay.
    match line.iter().position(|byte| *byte == b':') {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

/// Reads digits. A number too large is ignored, as anything else is that is not a number.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    // The parser would take a sign as well.
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().map(Duration::from_millis)
}
