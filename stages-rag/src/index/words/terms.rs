use std::collections::HashSet;
use std::sync::LazyLock;

use tantivy::tokenizer::{
    BoxTokenStream, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenFilter, TokenStream, Tokenizer,
};
use unicode_normalization::UnicodeNormalization;

use super::language::Language;
use super::tokens::{Grams, Words, is_dense};

/// The most distinct words of a query that are searched for, the first ones; bounds what a pasted log can cost.
const MOST_WORDS: usize = 64;

/// The most words of a query that are read to find them, in each language.
const MOST_READ: usize = 4 * MOST_WORDS;

/// How much of a query is looked at, in bytes; far more than [`MOST_WORDS`] words of any language.
const LONGEST_QUERY: usize = 32 << 10;

/// English words that say how a question is put and not what it is about.
const STOP_WORDS: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
    "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "ll", "may", "me", "might", "must", "my", "no", "not", "of", "on", "or", "our", "please", "re", "s", "shall",
    "she", "should", "so", "such", "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "up", "us", "ve", "was", "we", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// By language. Made once: the lists of stop words are long.
static FOUND: LazyLock<Vec<TextAnalyzer>> = LazyLock::new(|| analyzers(Grams::OnesAndTwos));
static ASKED: LazyLock<Vec<TextAnalyzer>> = LazyLock::new(|| analyzers(Grams::Longest));

fn analyzers(grams: Grams) -> Vec<TextAnalyzer> {
    Language::all().map(|language| analyzer(language, grams)).collect()
}

/// Makes what turns text into terms: words, without stop words, stemmed, folded, behind the code of their language.
fn analyzer(language: Language, grams: Grams) -> TextAnalyzer {
    let words = TextAnalyzer::builder(Words::new(grams));
    let coded = Coded(language);
    match (stop_words(language), language.stemmer().map(Stemmer::new)) {
        (Some(stop_words), Some(stemmer)) => words.filter(stop_words).filter(stemmer).filter(coded).build(),
        (None, Some(stemmer)) => words.filter(stemmer).filter(coded).build(),
        (_, None) => words.filter(coded).build(),
    }
}

/// Returns the words to leave out, for the languages that a list of the Snowball project is there for.
fn stop_words(language: Language) -> Option<StopWordFilter> {
    match language {
        Language::English => Some(StopWordFilter::remove(STOP_WORDS.iter().map(ToString::to_string))),
        language => language.stemmer().and_then(StopWordFilter::new),
    }
}

/// Returns a text as [`CodedTexts`] reads it: behind the code of its language.
pub(super) fn coded(language: Language, text: &str) -> String {
    format!("{}{text}", language.code())
}

/// Returns the text of a [`coded`] one.
pub(super) fn decoded(coded: &str) -> &str {
    coded.get(2..).unwrap_or_default()
}

/// The tokenizer of the index: reads each text by the code that stands before it.
#[derive(Clone)]
pub(super) struct CodedTexts(Vec<TextAnalyzer>);

impl CodedTexts {
    pub(super) fn new() -> Self {
        Self(FOUND.clone())
    }
}

impl Tokenizer for CodedTexts {
    type TokenStream<'a> = BoxTokenStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> BoxTokenStream<'a> {
        let code = text.get(..2).unwrap_or_default();
        let language = Language::from_code(code).unwrap_or(Language::Other);
        self.0[language as usize].token_stream(decoded(text))
    }
}

/// A word of a question: its terms in the languages of the index, of which a passage can hold one.
pub(super) type Word = Vec<String>;

/// Returns the distinct words of a question, in order, as terms of each of the languages.
///
/// Whatever is not a letter or a digit only separates words, so there is no syntax to get wrong. A word that is a stop
/// word of some of the languages has no terms in these; one that is in all is none.
pub(super) fn question(text: &str, languages: &[Language]) -> Vec<Word> {
    let text = beginning(text, LONGEST_QUERY);
    let mut by_place: Vec<(usize, Word)> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    for &language in languages {
        let mut analyzer = ASKED[language as usize].clone();
        let mut tokens = analyzer.token_stream(text);
        let (mut distinct, mut read) = (0, 0);
        while distinct < MOST_WORDS && read < MOST_READ && tokens.advance() {
            read += 1;
            let Token { position, text: term, .. } = tokens.token();
            if seen.contains(term) {
                continue;
            }
            distinct += 1;
            seen.insert(term.clone());
            match by_place.binary_search_by_key(position, |(place, _)| *place) {
                Ok(at) => by_place[at].1.push(term.clone()),
                Err(at) => by_place.insert(at, (*position, vec![term.clone()])),
            }
        }
    }
    by_place.truncate(MOST_WORDS);
    by_place.into_iter().map(|(_, word)| word).collect()
}

/// Returns the characters of a text that fit into so many bytes.
pub(super) fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.expect("every text can be cut at 0")]
}

/// Folds a stem and puts the code of its language before it, so that one language's stems are not taken for another's.
///
/// Folding comes last: stemmers and lists of stop words know accents.
#[derive(Clone)]
struct Coded(Language);

impl TokenFilter for Coded {
    type Tokenizer<T: Tokenizer> = CodedTokenizer<T>;

    fn transform<T: Tokenizer>(self, words: T) -> CodedTokenizer<T> {
        CodedTokenizer { language: self.0, words }
    }
}

#[derive(Clone)]
struct CodedTokenizer<T> {
    language: Language,
    words: T,
}

impl<T: Tokenizer> Tokenizer for CodedTokenizer<T> {
    type TokenStream<'a> = CodedStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        CodedStream { language: self.language, words: self.words.token_stream(text), term: String::new() }
    }
}

struct CodedStream<T> {
    language: Language,
    words: T,
    term: String,
}

impl<T: TokenStream> TokenStream for CodedStream<T> {
    fn advance(&mut self) -> bool {
        if !self.words.advance() {
            return false;
        }
        let stem = &mut self.words.token_mut().text;
        // Pairs of characters are not stemmed, so they are the same terms in all languages.
        let dense = stem.chars().next().is_some_and(is_dense);
        let language = if dense { Language::Other } else { self.language };
        self.term.clear();
        self.term.push_str(language.code());
        self.term.push('/');
        if stem.is_ascii() || dense {
            self.term.push_str(stem);
        } else {
            fold(stem, &mut self.term);
        }
        std::mem::swap(stem, &mut self.term);
        true
    }

    fn token(&self) -> &Token {
        self.words.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.words.token_mut()
    }
}

/// Takes the accents off European letters, and the letters apart that are two.
fn fold(stem: &str, term: &mut String) {
    for c in stem.nfd() {
        match c {
            // Accents, and marks that only choose how a character is drawn.
            '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' => {}
            'ß' => term.push_str("ss"),
            'æ' => term.push_str("ae"),
            'œ' => term.push_str("oe"),
            'ø' => term.push('o'),
            'đ' => term.push('d'),
            'ł' => term.push('l'),
            'ı' => term.push('i'),
            'ς' => term.push('σ'),
            c => term.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(language: Language, query: &str) -> Vec<String> {
        question(query, &[language]).concat().into_iter().map(|term| term[3..].to_owned()).collect()
    }

    fn english(query: &str) -> Vec<String> {
        of(Language::English, query)
    }

    #[test]
    fn words_are_lowered_stemmed_and_named_once() {
        assert_eq!(english("Shedding sheds: SHED the queues' queue!"), ["shed", "queue"]);
    }

    #[test]
    fn what_only_asks_leaves_no_term() {
        for question in ["", " \n", "?!… -- ()", "What is it, and how do I do that?", "what's"] {
            assert_eq!(english(question), [""; 0], "{question}");
        }
        assert_eq!(of(Language::German, "Was ist das und wie ist es?"), [""; 0]);
    }

    #[test]
    fn query_syntax_is_only_punctuation() {
        assert_eq!(english("foo:bar \" (a AND +baz~2 [x TO"), ["foo", "bar", "baz", "2", "x"]);
    }

    #[test]
    fn a_pasted_log_is_searched_for_its_first_words() {
        let words = |n: usize| (0..n).map(|i| format!("w{i}")).collect::<Vec<_>>();
        assert_eq!(english(&words(1_000).join(" ")), words(MOST_WORDS));
        let repeated = |times: usize| format!("{} last", "again ".repeat(times));
        assert_eq!(english(&repeated(MOST_READ - 1)), ["again", "last"]);
        assert_eq!(english(&repeated(MOST_READ)), ["again"]);
    }

    #[test]
    fn other_scripts_are_words_too() {
        assert_eq!(english("Größe élan Ωmega"), ["grosse", "elan", "ωmega"]);
    }

    #[test]
    fn accents_do_not_count_but_are_known_to_the_stemmer() {
        assert_eq!(of(Language::French, "problème"), of(Language::French, "problemes"));
        assert_eq!(of(Language::German, "Größen"), of(Language::German, "grosse"));
        assert_eq!(of(Language::Turkish, "İSTANBUL"), of(Language::Turkish, "istanbul"));
        assert_eq!(of(Language::Other, "Łódź crème"), ["lodz", "creme"]);
        // Marks that make another letter of it, not an accented one.
        assert_eq!(of(Language::Other, "हिन्दी"), ["हिन्दी"]);
    }

    #[test]
    fn a_word_has_one_term_for_each_language_that_it_means_something_in() {
        let languages = [Language::English, Language::German];
        assert_eq!(
            question("the houses", &languages),
            [vec!["de/the".to_owned()], vec!["en/hous".into(), "de/hous".into()]]
        );
        assert_eq!(question("東京", &languages), [["xx/東京"]]);
    }

    #[test]
    fn a_text_is_read_by_its_code() {
        let mut texts = CodedTexts::new();
        let mut terms = |text: &str| {
            let mut found = Vec::new();
            texts.token_stream(text).process(&mut |token| found.push(token.text.clone()));
            found
        };
        assert_eq!(terms(&coded(Language::English, "The sheds")), ["en/shed"]);
        assert_eq!(terms(&coded(Language::Russian, "мыши 東京")), ["ru/мыш", "xx/東", "xx/東京", "xx/京"]);
        for broken in ["", "e", "é", "猫"] {
            assert_eq!(terms(broken), [""; 0]);
        }
        assert_eq!(decoded(&coded(Language::Greek, "ab")), "ab");
    }
}
