use std::borrow::Cow;

/// A word of the language in which pages and character maps are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Number(f32),
    /// The bytes of a string, out of its brackets and escapes.
    Text(Cow<'a, [u8]>),
    Name(Cow<'a, [u8]>),
    ArrayStart,
    ArrayEnd,
    /// What does something with the words before it.
    Operator(&'a [u8]),
}

/// Reads words one by one; nothing is built, so that nothing can be large, and nesting is no more than brackets.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_blank(byte) && !b"()<>[]{}/%".contains(&byte)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over the bytes for which it holds, and returns them.
    fn take_while(&mut self, holds: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !holds(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Passes over the data of a picture that stands in the page, up to the word that ends it.
    pub(super) fn skip_image(&mut self) {
        let rest = &self.bytes[self.at..];
        let ends = |window: &[u8]| is_blank(window[0]) && &window[1..3] == b"EI" && !is_regular(window[3]);
        self.at = rest.windows(4).position(ends).map_or(self.bytes.len(), |at| self.at + at + 3);
    }

    /// Reads a string in parentheses, from behind the first.
    fn literal(&mut self) -> Cow<'a, [u8]> {
        let start = self.at;
        let mut open = 1_usize;
        let mut text: Option<Vec<u8>> = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return text.map_or(Cow::Borrowed(&self.bytes[start..self.at - 1]), Cow::Owned);
                    }
                }
                b'\\' => {
                    let text = text.get_or_insert_with(|| self.bytes[start..self.at - 1].to_vec());
                    let escaped = Self::escape(self.bytes, &mut self.at);
                    text.extend(escaped);
                    continue;
                }
                _ => {}
            }
            if let Some(text) = &mut text {
                text.push(byte);
            }
        }
        // Never closed: what follows is no text.
        Cow::Borrowed(&[])
    }

    /// What stands behind a backslash; `None` for a line that goes on.
    fn escape(bytes: &[u8], at: &mut usize) -> Option<u8> {
        let byte = *bytes.get(*at)?;
        *at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\r' | b'\n' => {
                *at += usize::from(byte == b'\r' && bytes.get(*at) == Some(&b'\n'));
                return None;
            }
            b'0'..=b'7' => {
                let mut value = byte - b'0';
                for _ in 0..2 {
                    let Some(next @ b'0'..=b'7') = bytes.get(*at) else { break };
                    value = value.wrapping_mul(8).wrapping_add(next - b'0');
                    *at += 1;
                }
                value
            }
            other => other,
        })
    }

    /// Reads a string of hexadecimal digits, from behind the bracket.
    fn hexadecimal(&mut self) -> Cow<'a, [u8]> {
        let digits = self.take_while(|byte| byte != b'>');
        self.at = (self.at + 1).min(self.bytes.len());
        let mut text = Vec::with_capacity(digits.len() / 2);
        let mut high = None;
        for digit in digits.iter().filter_map(|byte| digit(*byte)) {
            match high.take() {
                None => high = Some(digit),
                Some(high) => text.push(high * 16 + digit),
            }
        }
        // The last digit may be left out if it is zero.
        text.extend(high.map(|high| high * 16));
        Cow::Owned(text)
    }

    /// Reads a name, from behind the slash.
    fn name(&mut self) -> Cow<'a, [u8]> {
        let name = self.take_while(is_regular);
        if !name.contains(&b'#') {
            return Cow::Borrowed(name);
        }
        let mut spelled = Vec::with_capacity(name.len());
        let mut rest = name;
        while let [first, tail @ ..] = rest {
            let escaped = match rest {
                [b'#', high, low, ..] => digit(*high).zip(digit(*low)),
                _ => None,
            };
            (rest, _) = match escaped {
                Some((high, low)) => (&rest[3..], spelled.push(high * 16 + low)),
                None => (tail, spelled.push(*first)),
            };
        }
        Cow::Owned(spelled)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.take_while(is_blank);
            let byte = self.peek()?;
            if is_regular(byte) {
                let word = self.take_while(is_regular);
                return Some(number(word).map_or(Token::Operator(word), Token::Number));
            }
            self.at += 1;
            match byte {
                b'%' => drop(self.take_while(|byte| byte != b'\n' && byte != b'\r')),
                b'(' => return Some(Token::Text(self.literal())),
                b'<' if self.peek() == Some(b'<') => self.at += 1,
                b'<' => return Some(Token::Text(self.hexadecimal())),
                b'/' => return Some(Token::Name(self.name())),
                b'[' => return Some(Token::ArrayStart),
                b']' => return Some(Token::ArrayEnd),
                // The brackets of dictionaries and procedures say nothing that is of use here.
                _ => {}
            }
        }
    }
}

fn number(word: &[u8]) -> Option<f32> {
    if !word.first().is_some_and(|byte| byte.is_ascii_digit() || b"+-.".contains(byte)) {
        return None;
    }
    let number: f32 = std::str::from_utf8(word).ok()?.parse().ok()?;
    // What is too large for a number is as large as one can be.
    Some(number.clamp(f32::MIN, f32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &[u8]) -> Vec<Token<'_>> {
        Lexer::new(source).collect()
    }

    fn text(bytes: &[u8]) -> Token<'_> {
        Token::Text(Cow::Borrowed(bytes))
    }

    #[test]
    fn words_are_told_apart() {
        let source = b"/F1 12 Tf[(a)-.5<4 1 b>]TJ % (no)\n<</A(b)>>BDC T* /A#20B'x";
        let expected = [
            Token::Name(b"F1".into()),
            Token::Number(12.0),
            Token::Operator(b"Tf"),
            Token::ArrayStart,
            text(b"a"),
            Token::Number(-0.5),
            text(b"A\xb0"),
            Token::ArrayEnd,
            Token::Operator(b"TJ"),
            Token::Name(b"A".into()),
            text(b"b"),
            Token::Operator(b"BDC"),
            Token::Operator(b"T*"),
            Token::Name(b"A B'x".into()),
        ];
        assert_eq!(words(source), expected);
    }

    #[test]
    fn strings_are_read_out_of_their_escapes() {
        for (source, expected) in [
            ("(a(b)c)", "a(b)c"),
            ("(a\\)b\\\\)", "a)b\\"),
            ("(\\101\\60\\12x\\8)", "A0\nx8"),
            ("(a\\\nb\\\r\nc\\n)", "abc\n"),
            ("(never (closed)", ""),
            ("<>", ""),
            ("<41", "A"),
        ] {
            assert_eq!(words(source.as_bytes()), [text(expected.as_bytes())], "{source}");
        }
    }

    #[test]
    fn a_picture_in_the_page_is_passed_over() {
        let mut lexer = Lexer::new(b"ID (\x00\xff EIx\nEI Q");
        assert_eq!(lexer.next(), Some(Token::Operator(b"ID")));
        lexer.skip_image();
        assert_eq!(lexer.next(), Some(Token::Operator(b"Q")));
        let mut endless = Lexer::new(b"ID \xff\xff");
        endless.skip_image();
        assert_eq!(endless.next(), None);
    }
}
