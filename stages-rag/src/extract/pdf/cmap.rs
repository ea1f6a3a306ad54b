use super::lexer::{Lexer, Token};

/// The most entries of a map: every code that there is in two bytes.
const ENTRIES: usize = 1 << 16;

/// Which characters the codes of a font mean: what it says itself, for those who copy out of a document.
#[derive(Debug, Default)]
pub(super) struct CMap {
    /// In the order of their first codes.
    entries: Vec<Entry>,
    /// The lengths of codes in bytes, with the codes that have them.
    lengths: Vec<(usize, u32, u32)>,
}

#[derive(Debug)]
struct Entry {
    first: u32,
    last: u32,
    /// What the first code means, in UTF-16, but for its last unit.
    front: Option<Box<[u16]>>,
    /// The last unit; for each further code it is one more.
    unit: u16,
}

impl CMap {
    /// Reads a map; what it says wrongly is left out.
    pub(super) fn read(source: &[u8]) -> Self {
        let mut map = Self::default();
        let mut words = Vec::new();
        for token in Lexer::new(source) {
            match token {
                Token::Operator(b"endcodespacerange") => map.take_lengths(&words),
                Token::Operator(b"endbfchar") => map.take_characters(&words),
                Token::Operator(b"endbfrange") => map.take_ranges(&words),
                Token::Operator(_) => {}
                word => {
                    if words.len() < ENTRIES {
                        words.push(word);
                    }
                    continue;
                }
            }
            words.clear();
        }
        map.entries.sort_by_key(|entry| entry.first);
        map
    }

    /// The code at the start of some text, and its length; the text isn't empty.
    pub(super) fn code(&self, text: &[u8]) -> Option<(u32, usize)> {
        (1..=text.len().min(4)).find_map(|length| {
            let code = value(&text[..length]);
            let known = |(of, first, last): &(usize, u32, u32)| *of == length && (*first..=*last).contains(&code);
            self.lengths.iter().any(known).then_some((code, length))
        })
    }

    /// Writes what a code means.
    pub(super) fn write(&self, code: u32, text: &mut String) {
        let behind = self.entries.partition_point(|entry| entry.first <= code);
        // Ranges that overlap are rare; then the one that begins last counts.
        let Some(entry) = behind.checked_sub(1).map(|at| &self.entries[at]).filter(|entry| code <= entry.last) else {
            return;
        };
        let further = u16::try_from(code - entry.first).unwrap_or(0);
        let front = entry.front.iter().flatten().copied();
        text.extend(char::decode_utf16(front.chain([entry.unit.wrapping_add(further)])).flatten());
    }

    fn take_lengths(&mut self, words: &[Token<'_>]) {
        for pair in words.chunks_exact(2) {
            if let [Token::Text(first), Token::Text(last)] = pair
                && self.lengths.len() < 16
            {
                self.lengths.push((first.len(), value(first), value(last)));
            }
        }
    }

    fn take_characters(&mut self, words: &[Token<'_>]) {
        for pair in words.chunks_exact(2) {
            if let [Token::Text(code), Token::Text(meaning)] = pair {
                self.add(value(code), value(code), meaning);
            }
        }
    }

    fn take_ranges(&mut self, words: &[Token<'_>]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (Token::Text(first), Some(Token::Text(last))) = (word, words.next()) else { continue };
            let (first, last) = (value(first), value(last));
            match words.next() {
                Some(Token::Text(meaning)) => self.add(first, last, meaning),
                Some(Token::ArrayStart) => {
                    let each = words.by_ref().take_while(|word| **word != Token::ArrayEnd);
                    let mut codes = first..=last;
                    for word in each {
                        if let (Token::Text(meaning), Some(code)) = (word, codes.next()) {
                            self.add(code, code, meaning);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, first: u32, last: u32, meaning: &[u8]) {
        let mut units = meaning.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let unit = match meaning {
            [one] => u16::from(*one),
            // A meaning may be a word, but not a book.
            [] | [_, _, ..] if !(2..=64).contains(&meaning.len()) => return,
            _ => units.next_back().unwrap_or_default(),
        };
        let front: Box<[u16]> = units.collect();
        if first <= last && self.entries.len() < ENTRIES {
            self.entries.push(Entry { first, last, front: (!front.is_empty()).then_some(front), unit });
        }
    }
}

/// The number that up to four bytes are.
fn value(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(map: &CMap, code: u32) -> String {
        let mut text = String::new();
        map.write(code, &mut text);
        text
    }

    #[test]
    fn codes_mean_what_the_map_says() {
        let map = CMap::read(
            b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange \
            2 beginbfchar <0003> <0020> <0004> <00660069> endbfchar \
            3 beginbfrange <0010> <0012> <0041> <0020> <0022> [<0061> <D83E DD80> <0063>] <0030> <0031> <D83EDD80> endbfrange",
        );
        let known =
            [(3, " "), (4, "fi"), (0x10, "A"), (0x12, "C"), (0x20, "a"), (0x21, "🦀"), (0x22, "c"), (0x31, "🦁")];
        for (code, expected) in known {
            assert_eq!(meaning(&map, code), expected, "{code}");
        }
        for unknown in [0, 5, 0x13, 0x23, 0x32, u32::MAX] {
            assert_eq!(meaning(&map, unknown), "", "{unknown}");
        }
        assert_eq!(map.code(b"\x00\x04\x00"), Some((4, 2)));
        assert_eq!(map.code(b"\x00"), None);
    }

    #[test]
    fn a_map_of_all_codes_takes_no_room() {
        let map = CMap::read(b"1 beginbfrange <00000000> <FFFFFFFF> <0041> <02> <01> <0041> endbfrange");
        assert_eq!(map.entries.len(), 1);
        assert_eq!(meaning(&map, 1), "B");
        let broken =
            CMap::read(b"<01> endbfchar [ <01> endbfrange <01> <02> [ <0041> endbfrange 1 2 3 endcodespacerange");
        assert_eq!(meaning(&broken, 1), "A");
    }
}
