//! What a question asks for, and what of it a text mentions.

use std::collections::BTreeSet;

use rust_stemmers::{Algorithm, Stemmer};

/// The terms of a question that a text mentions, one bit for each.
pub(super) type Terms = u64;

/// How many terms of a question count; the first ones of a longer question.
const MOST_TERMS: usize = Terms::BITS as usize;

/// Words that say nothing of what is asked for.
const STOP_WORDS: &[&str] = &[
    "about", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "being", "between", "both", "but", "by", "can", "cannot", "could", "did", "do", "does", "doing", "done", "don",
    "each", "either", "else", "ever", "every", "few", "for", "from", "get", "gets", "give", "go", "goes", "had", "has",
    "have", "having", "he", "help", "her", "here", "his", "how", "if", "in", "into", "is", "it", "its", "itself",
    "just", "know", "let", "like", "ll", "many", "may", "me", "might", "mine", "more", "most", "much", "must", "my",
    "no", "nor", "not", "of", "off", "ok", "on", "one", "only", "or", "other", "our", "out", "over", "own", "please",
    "re", "same", "shall", "she", "should", "show", "so", "some", "such", "tell", "than", "thanks", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "under", "until", "up", "us",
    "ve", "very", "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who", "whom", "whose",
    "why", "will", "with", "within", "without", "would", "yes", "you", "your",
];

/// Words that mean something only where a question has nothing better.
const VAGUE_WORDS: &[&str] = &[
    "called",
    "define",
    "describe",
    "difference",
    "example",
    "exist",
    "exists",
    "explain",
    "happen",
    "happening",
    "happens",
    "mean",
    "meaning",
    "means",
    "need",
    "needed",
    "needs",
    "thing",
    "things",
    "use",
    "used",
    "uses",
    "using",
    "way",
    "ways",
    "work",
    "working",
    "works",
];

/// The terms of a question: its words without the usual ones, reduced to their English stems.
pub(super) struct Query {
    stemmer: Stemmer,
    terms: Vec<String>,
    /// First characters of the terms: a stem begins as its words do.
    initials: BTreeSet<char>,
}

impl Query {
    pub(super) fn new(question: &str) -> Self {
        let mut query =
            Self { stemmer: Stemmer::create(Algorithm::English), terms: Vec::new(), initials: BTreeSet::new() };
        query.learn(question, |word| !VAGUE_WORDS.contains(&word));
        if query.terms.is_empty() {
            query.learn(question, |_| true);
        }
        query
    }

    fn learn(&mut self, question: &str, means_something: impl Fn(&str) -> bool) {
        each_word(question, |word| {
            let counts = word.chars().nth(1).is_some() && !STOP_WORDS.contains(&word) && means_something(word);
            let stem = self.stem(word);
            if counts && self.terms.len() < MOST_TERMS && !self.terms.contains(&stem) {
                self.initials.extend(stem.chars().next());
                self.terms.push(stem);
            }
        });
    }

    /// Whether nothing of the question says what it is about.
    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns which of the terms a text mentions.
    pub(super) fn mentioned(&self, text: &str) -> Terms {
        let mut found = 0;
        each_word(text, |word| {
            if word.starts_with(|initial| self.initials.contains(&initial)) {
                let stem = self.stem(word);
                found |= self.terms.iter().position(|term| *term == stem).map_or(0, |i| 1 << i);
            }
        });
        found
    }

    /// The stem of a word in lower case.
    fn stem(&self, word: &str) -> String {
        let stem = self.stemmer.stem(word);
        // The algorithm keeps the last letter of "queue" and takes it from "queued".
        match stem.strip_suffix('e') {
            Some(short) if short.chars().count() >= 4 => short.to_owned(),
            _ => stem.into_owned(),
        }
    }
}

/// Calls `read` with each word in lower case; `DropOldest` also reads as "drop" and "oldest".
fn each_word(text: &str, mut read: impl FnMut(&str)) {
    let mut lower = String::new();
    let mut read_lower = |word: &str| {
        lower.clear();
        lower.extend(word.chars().flat_map(char::to_lowercase));
        read(&lower);
    };
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        read_lower(word);
        let mut begin = 0;
        let mut before = ' ';
        for (at, c) in word.char_indices() {
            if before.is_lowercase() && c.is_uppercase() {
                read_lower(&word[begin..at]);
                begin = at;
            }
            before = c;
        }
        if begin > 0 {
            read_lower(&word[begin..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(question: &str) -> Vec<String> {
        Query::new(question).terms
    }

    #[test]
    fn only_words_that_say_what_is_asked_for_count() {
        assert_eq!(terms("How does the shedding of requests work?"), ["shed", "request"]);
        assert_eq!(terms("Please tell me what it is."), [""; 0]);
        assert_eq!(terms("How does that work?"), ["work"]);
        assert!(Query::new("What is it?").is_empty());
    }

    #[test]
    fn every_form_of_a_word_is_the_same_term() {
        let query = Query::new("queue cancel drop shed stream");
        for text in ["Queues are", "queued", "QUEUING!"] {
            assert_eq!(query.mentioned(text), 0b1, "{text}");
        }
        assert_eq!(query.mentioned("a cancelled stream; streaming cancellation"), 0b10010);
        assert_eq!(query.mentioned("dropped, sheds"), 0b1100);
        assert_eq!(terms("queue, queued, queues"), ["queu"]);
        assert_eq!(query.mentioned("a quick dragon"), 0);
    }

    #[test]
    fn names_in_code_are_read_by_their_parts() {
        assert_eq!(Query::new("drop oldest").mentioned("`ShedPolicy::DropOldest`"), 0b11);
        assert_eq!(Query::new("DropOldest").mentioned("dropoldest drops the oldest"), 0b111);
        assert_eq!(Query::new("hold permit").mentioned("`cx.hold_permit()`"), 0b11);
    }

    #[test]
    fn a_question_of_many_words_counts_the_first_ones() {
        let long: Vec<_> = (0..100).map(|i| format!("word{i}")).collect();
        let query = Query::new(&long.join(" "));
        assert_eq!(query.mentioned("word63"), 1 << 63);
        assert_eq!(query.mentioned("word64"), 0);
    }
}
