//! The escapes of JSON strings, in the arguments of tool calls.

/// The arguments as they came, beside what a scanner is shown of them.
///
/// Behind `\n` a scanner would see the letter `n`, and a match could end in the middle of an escape. So it is shown a text of
/// the same length in which each escape is white space: `\n` first, which no preset takes for a separator, and `\r` for the
/// rest.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// From the first byte on that has neither gone on nor been dropped.
    raw: String,
    /// Where `raw` stands in the arguments.
    base: usize,
    /// What the scanner is shown of the last piece.
    shown: String,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    /// Behind a backslash.
    Opened,
    /// Behind `\u`, with so many digits to come.
    Digits(u8),
}

impl Escapes {
    /// Takes the next piece; returns what the scanner is shown of it.
    pub(super) fn push(&mut self, piece: &str) -> &str {
        self.raw.push_str(piece);
        self.shown.clear();
        for c in piece.chars() {
            let (shown, state) = match (self.state, c) {
                (State::Outside, '\\') => ('\n', State::Opened),
                (State::Opened, 'u') => ('\r', State::Digits(4)),
                (State::Opened, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => ('\r', State::Outside),
                (State::Digits(left), c) if c.is_ascii_hexdigit() => {
                    ('\r', if left > 1 { State::Digits(left - 1) } else { State::Outside })
                }
                // No escape that JSON has: nothing may hide in it.
                (State::Digits(_), '\\') => ('\n', State::Opened),
                (_, c) => (c, State::Outside),
            };
            self.shown.push(shown);
            self.state = state;
        }
        &self.shown
    }

    /// Whether a cut at `position` would be one inside of an escape. `shown` is the byte there that the scanner was shown,
    /// `None` at the end.
    pub(super) fn is_inside(&self, position: usize, shown: Option<u8>) -> bool {
        match shown {
            Some(shown) => shown == b'\r' && self.raw.as_bytes()[position - self.base] != b'\r',
            None => self.state != State::Outside,
        }
    }

    pub(super) fn text(&self, from: usize, to: usize) -> &str {
        &self.raw[from - self.base..to - self.base]
    }

    /// What comes before `position` is not asked for any more.
    pub(super) fn forget(&mut self, position: usize) {
        self.raw.drain(..position - self.base);
        self.base = position;
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Writes a text as it stands in a JSON string.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&str]) -> String {
        let mut escapes = Escapes::default();
        pieces.iter().map(|piece| escapes.push(piece).to_owned()).collect()
    }

    #[test]
    fn escapes_are_white_space_wherever_they_are_cut() {
        let text = r#"{"a":"\nb\\n\u00e9\"é\sk-\u12x\\\u12\n"#;
        let expected = "{\"a\":\"\n\rb\n\rn\n\r\r\r\r\r\n\ré\nsk-\n\r\r\rx\n\r\n\r\r\r\n\r";
        assert_eq!(shown(&[text]), expected);
        let bytewise: Vec<&str> = text.split("").collect();
        assert_eq!(shown(&bytewise), expected);
        assert_eq!(expected.len(), text.len());
    }

    #[test]
    fn what_is_escaped_reads_as_it_was() {
        let text = "a \"b\" \\ \n\u{1}é";
        let parsed: String = serde_json::from_str(&format!("\"{}\"", escaped(text))).expect("JSON");
        assert_eq!(parsed, text);
    }
}
