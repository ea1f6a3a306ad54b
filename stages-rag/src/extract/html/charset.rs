use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::corpus::SkipReason;

/// How far in a page says how it is written, by the standard.
const PRESCAN: usize = 1024;

/// Decodes a page: as its byte order mark says, else as UTF-8 if it is that, else as its `<meta charset>` says.
///
/// Browsers trust the declaration before they look; but what reads as UTF-8 and holds more than ASCII is UTF-8.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, SkipReason> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return text(encoding, &bytes[mark..]);
    }
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => text(declared(bytes).ok_or(SkipReason::NotUtf8)?, bytes),
    }
}

fn text<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, SkipReason> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or(SkipReason::NotUtf8)?;
    if text.contains('\0') { Err(SkipReason::Binary) } else { Ok(text) }
}

/// Finds `charset=` in the head of the page, be it an attribute or a part of `content`.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes[..bytes.len().min(PRESCAN)].to_ascii_lowercase();
    let mut rest = head.as_slice();
    while let Some(at) = rest.windows(7).position(|window| window == b"charset") {
        rest = rest[at + 7..].trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
        let ends = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-_:.".contains(byte));
        let label = &value[..value.iter().position(ends).unwrap_or(value.len())];
        // A page that can be searched for `charset` byte by byte is not written in UTF-16, whatever it says.
        let known = Encoding::for_label(label).filter(|encoding| ![UTF_8, UTF_16BE, UTF_16LE].contains(encoding));
        return known;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_declarations_are_heeded() {
        assert_eq!(decode(b"\xef\xbb\xbfcaf\xc3\xa9").expect("UTF-8"), "café");
        assert_eq!(decode(b"\xff\xfea\0\xe9\0").expect("UTF-16"), "aé");
        assert_eq!(decode("<meta charset=latin1>café".as_bytes()).expect("UTF-8"), "<meta charset=latin1>café");
        for declared in
            ["<meta charset=latin1>", "<META CHARSET = 'ISO-8859-1'>", "<meta content=\"x; charset=latin1\">"]
        {
            let page = [declared.as_bytes(), b"caf\xe9"].concat();
            assert_eq!(decode(&page).expect("latin 1"), format!("{declared}café"));
        }
        let japanese = b"<meta charset=\"Shift_JIS\">\x93\xfa\x96\x7b";
        assert!(decode(japanese).expect("Shift JIS").ends_with("日本"));
    }

    #[test]
    fn what_cannot_be_decoded_is_skipped() {
        for (bytes, reason) in [
            (b"caf\xe9".as_slice(), SkipReason::NotUtf8),
            (b"<meta charset=utf-8>caf\xe9", SkipReason::NotUtf8),
            (b"<meta charset=utf-16>caf\xe9", SkipReason::NotUtf8),
            (b"<meta charset=unheard>caf\xe9", SkipReason::NotUtf8),
            (b"<meta charset=shift_jis>\x93", SkipReason::NotUtf8),
            (b"\xef\xbb\xbf\xff", SkipReason::NotUtf8),
            (b"a\0b", SkipReason::Binary),
            (b"\xff\xfea\0\0\0", SkipReason::Binary),
        ] {
            assert_eq!(decode(bytes), Err(reason), "{bytes:?}");
        }
    }
}
