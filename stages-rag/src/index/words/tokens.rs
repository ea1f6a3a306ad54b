use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Longer words are keys and hashes, in characters.
const LONGEST_WORD: usize = 39;

/// Which pieces of a text without spaces become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grams {
    /// Each character, and each pair of neighbours: what is found.
    OnesAndTwos,
    /// The pairs, and characters that stand alone: what is asked for.
    Longest,
}

/// Cuts text into words in lower case.
///
/// A word is a run of letters, digits and the marks on them; everything else only separates. Characters that look alike
/// because they are variants of one (full width, ligatures, composed or not) are one (Unicode's NFKC). Scripts without
/// spaces between words come in pairs of characters; so does Korean, whose spaces part phrases.
#[derive(Debug, Clone)]
pub(super) struct Words {
    grams: Grams,
    normal: String,
    token: Token,
}

impl Words {
    pub(super) fn new(grams: Grams) -> Self {
        Self { grams, normal: String::new(), token: Token::default() }
    }
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        let Self { grams, normal, token } = self;
        token.reset();
        let text = if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            text
        } else {
            normal.clear();
            normal.extend(text.nfkc());
            normal.as_str()
        };
        WordStream { rest: text, run: "", single: false, alone: false, grams: *grams, token }
    }
}

/// The words of one text.
#[derive(Debug)]
pub(super) struct WordStream<'a> {
    rest: &'a str,
    /// What is left of a run without spaces.
    run: &'a str,
    /// Whether the run's first character has been a token by itself.
    single: bool,
    /// Whether the run is one character, or what is left of a longer one.
    alone: bool,
    grams: Grams,
    token: &'a mut Token,
}

impl WordStream<'_> {
    fn emit(&mut self, word: &str) {
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        if word.is_ascii() {
            self.token.text.push_str(word);
            self.token.text.make_ascii_lowercase();
        } else {
            self.token.text.extend(word.chars().flat_map(char::to_lowercase));
        }
    }

    /// Emits the next piece of a run without spaces.
    fn advance_in_run(&mut self) -> bool {
        let mut chars = self.run.char_indices();
        if chars.next().is_none() {
            return false;
        }
        let second = chars.next().map(|(at, _)| at);
        let one = second.unwrap_or(self.run.len());
        if !self.single && (self.grams == Grams::OnesAndTwos || self.alone) {
            self.single = true;
            let piece = &self.run[..one];
            if second.is_none() {
                self.run = "";
            }
            self.emit(piece);
            return true;
        }
        self.single = false;
        if second.is_none() {
            self.run = "";
            return false;
        }
        let two = chars.next().map_or(self.run.len(), |(at, _)| at);
        let piece = &self.run[..two];
        self.run = &self.run[one..];
        self.emit(piece);
        true
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            if self.advance_in_run() {
                return true;
            }
            let Some(start) = self.rest.find(char::is_alphanumeric) else { return false };
            let from = &self.rest[start..];
            let first = from.chars().next().expect("it has just been found");
            let dense = is_dense(first);
            let same = |c: char| is_part(c) && is_dense(c) == dense;
            // A mark has the script of what it stands on.
            let end = from.find(|c| !(same(c) || is_combining_mark(c) && !is_dense(c))).unwrap_or(from.len());
            let (word, rest) = from.split_at(end);
            self.rest = rest;
            if dense {
                (self.run, self.single, self.alone) = (word, false, word.chars().nth(1).is_none());
            } else if word.chars().nth(LONGEST_WORD).is_none() {
                self.emit(word);
                return true;
            }
        }
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Returns whether a character belongs to a script that does not part its words by spaces, or to Korean.
pub(super) const fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{0e01}'..='\u{0eff}'         // Thai, Lao
        | '\u{1000}'..='\u{109f}'       // Myanmar
        | '\u{1100}'..='\u{11ff}'       // Hangul
        | '\u{1780}'..='\u{17ff}'       // Khmer
        | '\u{3005}'..='\u{3007}'       // marks of repetition, zero
        | '\u{3040}'..='\u{31ff}'       // Hiragana, Katakana, Bopomofo, Hangul
        | '\u{3400}'..='\u{4dbf}'       // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'       // Hangul
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'       // Han
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(grams: Grams, text: &str) -> Vec<String> {
        let mut words = Words::new(grams);
        let mut stream = words.token_stream(text);
        let mut found = Vec::new();
        stream.process(&mut |token| found.push(token.text.clone()));
        found
    }

    #[test]
    fn words_are_letters_digits_and_their_marks() {
        assert_eq!(cut(Grams::Longest, "It's C++ in [BRACKETS], v1.2!"), ["it", "s", "c", "in", "brackets", "v1", "2"]);
        assert_eq!(cut(Grams::Longest, "தமிழ் हिन्दी"), ["தமிழ்", "हिन्दी"]);
        assert_eq!(cut(Grams::Longest, "\u{301} ❤\u{fe0f} -- "), [""; 0]);
    }

    #[test]
    fn variants_of_a_character_are_one() {
        let composed = cut(Grams::Longest, "é");
        assert_eq!(cut(Grams::Longest, "e\u{301}"), composed);
        assert_eq!(cut(Grams::Longest, "ＲＵＳＴ ﬁne x²"), ["rust", "fine", "x2"]);
        assert_eq!(cut(Grams::Longest, "ﾃｽﾄ"), cut(Grams::Longest, "テスト"));
    }

    #[test]
    fn text_without_spaces_comes_in_pairs() {
        assert_eq!(cut(Grams::OnesAndTwos, "東京都"), ["東", "東京", "京", "京都", "都"]);
        assert_eq!(cut(Grams::Longest, "東京都"), ["東京", "京都"]);
        assert_eq!(cut(Grams::Longest, "猫"), ["猫"]);
        assert_eq!(cut(Grams::Longest, "Rustの所有 v2"), ["rust", "の所", "所有", "v2"]);
        assert_eq!(cut(Grams::Longest, "집에 가다"), ["집에", "가다"]);
    }

    #[test]
    fn keys_and_hashes_are_no_words() {
        assert_eq!(cut(Grams::Longest, &format!("a {} b", "f".repeat(40))), ["a", "b"]);
        assert_eq!(cut(Grams::Longest, &"ж".repeat(39)), ["ж".repeat(39)]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_and_what_is_asked_for_is_among_what_is_found(text in "\\PC{0,60}") {
            let found = cut(Grams::OnesAndTwos, &text);
            for asked in cut(Grams::Longest, &text) {
                prop_assert!(!asked.is_empty());
                prop_assert!(found.contains(&asked), "{asked:?} of {text:?}");
            }
        }
    }
}
