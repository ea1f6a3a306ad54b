//! Halves of characters.

/// Puts the replacement character in the place of each `\ud83d` of a JSON text that has not its other half; `None` where there
/// is none.
///
/// Servers that cut the model's text in the middle of a character send such: it is no JSON, but the rest is.
pub(crate) fn mended(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended = None;
    let mut at = 0;
    while let Some(next) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        match (unit(json, at), unit(json, at + LENGTH)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => at += 2 * LENGTH,
            (Some(0xd800..0xe000), _) => {
                let text = mended.get_or_insert_with(|| json.to_vec());
                text[at + 2..at + LENGTH].copy_from_slice(b"fffd");
                at += LENGTH;
            }
            // Any other escape, of which the second byte may be a backslash.
            _ => at += 2,
        }
    }
    mended
}

/// Of `\uXXXX`.
const LENGTH: usize = 6;

fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + LENGTH)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_are_replaced() {
        for (json, expected) in [
            (r#""a\ud83d""#, Some(r#""a\ufffd""#)),
            (r#""\uDE00\ud83d\ud83d\ude00\u00e9""#, Some(r#""\ufffd\ufffd\ud83d\ude00\u00e9""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\\ud83d \ud83d\ude00""#, None),
            (r#""\ud8"#, None),
            (r#""\"#, None),
        ] {
            assert_eq!(mended(json.as_bytes()).as_deref(), expected.map(str::as_bytes), "{json}");
        }
    }
}
