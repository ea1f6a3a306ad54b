use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Document, Object};

use super::cmap::CMap;
use super::{Budget, dictionary, number};
use crate::corpus::SkipReason;

/// The most fonts that are kept at a time; a document has some ten.
const KEPT: usize = 64;

/// The most entries of a table of widths.
const WIDTHS: usize = 1 << 16;

/// How wide a character is that nobody describes, in thousandths of the font's size.
const ORDINARY_WIDTH: f32 = 500.0;

/// A font: what its codes mean, and how wide they are.
#[derive(Debug)]
pub(super) struct Font {
    map: Option<CMap>,
    codes: Codes,
    widths: Widths,
}

/// What a code is, where the font's own map doesn't say what it means.
#[derive(Debug)]
enum Codes {
    /// A byte, and what each means.
    Bytes(Box<[String]>),
    /// Two bytes, whose meaning only the map knows.
    Pairs,
    /// UTF-16.
    Units,
}

/// The widths of a run of codes.
#[derive(Debug)]
struct Widths {
    runs: Vec<(u32, u32, f32)>,
    other: f32,
}

/// A character on the page.
pub(super) struct Glyph<'a> {
    /// What it means; empty where nobody knows.
    pub(super) text: &'a str,
    /// In thousandths of the font's size.
    pub(super) width: f32,
    /// It is the byte of the space, which has a spacing of its own.
    pub(super) is_space: bool,
}

/// The fonts that were met.
#[derive(Debug, Default)]
pub(super) struct Fonts {
    /// By where they are in the document, which doesn't move.
    kept: HashMap<usize, Rc<Font>>,
}

impl Fonts {
    pub(super) fn get(
        &mut self,
        document: &Document,
        font: &Dictionary,
        budget: &mut Budget,
    ) -> Result<Rc<Font>, SkipReason> {
        let place = std::ptr::from_ref(font) as usize;
        if let Some(font) = self.kept.get(&place) {
            return Ok(font.clone());
        }
        let font = Rc::new(Font::read(document, font, budget)?);
        if self.kept.len() == KEPT {
            self.kept.clear();
        }
        self.kept.insert(place, font.clone());
        Ok(font)
    }
}

impl Font {
    fn read(document: &Document, font: &Dictionary, budget: &mut Budget) -> Result<Self, SkipReason> {
        let map = match font.get_deref(b"ToUnicode", document).and_then(Object::as_stream) {
            Ok(stream) => Some(CMap::read(&budget.unpack(stream)?)),
            Err(_) => None,
        };
        if font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|subtype| subtype == b"Type0") {
            let encoding = font.get_deref(b"Encoding", document).and_then(Object::as_name).unwrap_or_default();
            let units =
                [b"UCS2".as_slice(), b"UTF16"].iter().any(|name| encoding.windows(name.len()).any(|w| w == *name));
            let codes = if units { Codes::Units } else { Codes::Pairs };
            return Ok(Self { map, codes, widths: Widths::of_pairs(document, font) });
        }
        let codes = Codes::Bytes(meanings(document, font));
        Ok(Self { map, codes, widths: Widths::of_bytes(document, font) })
    }

    /// Reads text as the page holds it, character by character, until there is a reason to end.
    pub(super) fn each(
        &self,
        mut bytes: &[u8],
        mut show: impl FnMut(Glyph<'_>) -> Result<(), SkipReason>,
    ) -> Result<(), SkipReason> {
        let mut text = String::new();
        while let [first, ..] = bytes {
            text.clear();
            let (code, length) = match &self.codes {
                Codes::Bytes(_) => (u32::from(*first), 1),
                Codes::Pairs | Codes::Units => {
                    let pair = || (u32::from(*first) << 8 | u32::from(bytes.get(1).copied().unwrap_or(0)), 2);
                    self.map.as_ref().and_then(|map| map.code(bytes)).unwrap_or_else(pair)
                }
            };
            if let Some(map) = &self.map {
                map.write(code, &mut text);
            }
            match &self.codes {
                _ if !text.is_empty() => {}
                Codes::Bytes(meanings) => text.push_str(&meanings[usize::from(*first)]),
                Codes::Pairs => {}
                Codes::Units => text.extend(char::from_u32(code)),
            }
            let is_space = length == 1 && *first == b' ';
            show(Glyph { text: &text, width: self.widths.of(code), is_space })?;
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// What the bytes mean by the font's encoding and its exceptions.
fn meanings(document: &Document, font: &Dictionary) -> Box<[String]> {
    let encoding = font.get_deref(b"Encoding", document).ok();
    let described = encoding.and_then(|encoding| encoding.as_dict().ok());
    let base = match (encoding, described) {
        (Some(Object::Name(name)), _) => Some(name.as_slice()),
        (_, Some(described)) => described.get(b"BaseEncoding").and_then(Object::as_name).ok(),
        _ => None,
    };
    let known = |name: &&[u8]| name.ends_with(b"Encoding");
    // TrueType fonts that don't say are written in what Windows writes.
    let is_true_type = font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|subtype| subtype == b"TrueType");
    let otherwise = if is_true_type { b"WinAnsiEncoding".as_slice() } else { b"StandardEncoding" };
    let mut meanings = table(base.filter(known).unwrap_or(otherwise));
    let differences = described.and_then(|described| described.get_deref(b"Differences", document).ok());
    let mut code = 0_i64;
    for difference in differences.and_then(|list| list.as_array().ok()).into_iter().flatten().take(4_096) {
        match difference {
            Object::Integer(next) => code = *next,
            Object::Name(name) => {
                if let Some(meaning) = usize::try_from(code).ok().and_then(|code| meanings.get_mut(code)) {
                    *meaning = character(name);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    meanings
}

/// The table of one of the encodings that every reader knows.
fn table(name: &[u8]) -> Box<[String]> {
    let font = lopdf::dictionary! { "Type" => "Font", "Encoding" => Object::Name(name.to_vec()) };
    let nothing = Document::new();
    let encoding = font.get_font_encoding(&nothing).ok();
    let meaning = |byte: u8| encoding.as_ref().and_then(|encoding| encoding.bytes_to_string(&[byte]).ok());
    (0..=u8::MAX).map(|byte| meaning(byte).unwrap_or_default()).collect()
}

/// What the name of a character means: by the list that every reader knows, else by how it is spelled.
fn character(name: &[u8]) -> String {
    // What stands behind a dot is a variant of the same character.
    let end = name.iter().skip(1).position(|byte| *byte == b'.').map_or(name.len(), |at| at + 1);
    let name = &name[..end];
    let spelled = |prefix: &[u8]| {
        let digits =
            std::str::from_utf8(name.strip_prefix(prefix)?).ok().filter(|digits| (4..=6).contains(&digits.len()));
        char::from_u32(u32::from_str_radix(digits?, 16).ok()?).map(String::from)
    };
    let listed = || {
        let differences = vec![Object::Integer(1), Object::Name(name.to_vec())];
        let encoding = lopdf::dictionary! { "Differences" => differences };
        let font = lopdf::dictionary! { "Type" => "Font", "Encoding" => encoding };
        let nothing = Document::new();
        let meaning = font.get_font_encoding(&nothing).ok()?.bytes_to_string(&[1]).ok()?;
        (!meaning.is_empty()).then_some(meaning)
    };
    spelled(b"uni").or_else(listed).or_else(|| spelled(b"u")).unwrap_or_default()
}

impl Widths {
    fn of(&self, code: u32) -> f32 {
        let behind = self.runs.partition_point(|(first, ..)| *first <= code);
        let run = behind.checked_sub(1).map(|at| self.runs[at]).filter(|(_, last, _)| code <= *last);
        run.map_or(self.other, |(.., width)| width)
    }

    fn of_bytes(document: &Document, font: &Dictionary) -> Self {
        let first = font.get_deref(b"FirstChar", document).and_then(Object::as_i64).unwrap_or(0);
        let first = u32::try_from(first).unwrap_or(0);
        let list = font.get_deref(b"Widths", document).and_then(Object::as_array).map_or(&[][..], Vec::as_slice);
        let run = |(code, width)| Some((code, code, number(document, width)?));
        Self { runs: (first..256).zip(list).filter_map(run).collect(), other: ORDINARY_WIDTH }
    }

    fn of_pairs(document: &Document, font: &Dictionary) -> Self {
        let described = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array).ok();
        let described = described.and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
        let Some(described) = described else { return Self { runs: Vec::new(), other: ORDINARY_WIDTH } };
        let other = described.get(b"DW").ok().and_then(|width| number(document, width)).unwrap_or(1000.0);
        let list = described.get_deref(b"W", document).and_then(Object::as_array).map_or(&[][..], Vec::as_slice);
        let mut runs = Vec::new();
        let mut rest = list;
        while let [first, second, tail @ ..] = rest {
            if runs.len() >= WIDTHS {
                break;
            }
            let Some(first) = code(document, first) else { break };
            match document.dereference(second).map(|(_, second)| second) {
                Ok(Object::Array(each)) => {
                    let run = |(code, width)| Some((code, code, number(document, width)?));
                    runs.extend((first..).zip(each).take(WIDTHS - runs.len()).filter_map(run));
                    rest = tail;
                }
                _ => {
                    let (Some(last), [width, tail @ ..]) = (code(document, second), tail) else { break };
                    runs.extend(number(document, width).map(|width| (first, last, width)));
                    rest = tail;
                }
            }
        }
        runs.sort_by_key(|(first, ..)| *first);
        Self { runs, other }
    }
}

fn code(document: &Document, object: &Object) -> Option<u32> {
    u32::try_from(document.dereference(object).ok()?.1.as_i64().ok()?).ok()
}

/// Looks a font up among those of a page or a form.
pub(super) fn named<'a>(document: &'a Document, resources: &'a Dictionary, name: &[u8]) -> Option<&'a Dictionary> {
    dictionary(document, dictionary(document, resources, b"Font")?, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_known_by_name() {
        let names = ["A", "eacute", "fi", "uni4E16", "u1F980", "a.alt", ".notdef", "g17", "", "uniXXXX", "u"];
        let expected = ["A", "é", "ﬁ", "世", "🦀", "a", "", "", "", "", "u"];
        for (name, expected) in names.into_iter().zip(expected) {
            assert_eq!(character(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn tables_know_what_bytes_mean() {
        assert_eq!(table(b"WinAnsiEncoding")[0x80], "€");
        assert_eq!(table(b"MacRomanEncoding")[0x8e], "é");
        assert_eq!(table(b"StandardEncoding")[usize::from(b'A')], "A");
        assert_eq!(table(b"UnheardEncoding").len(), 256);
    }
}
