use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
};

/// Longer tokens are keys and hashes. The same as in tantivy's own `en_stem`.
const LONGEST_TOKEN: usize = 40;

/// The most distinct words of a query that are searched for, the first ones; bounds what a pasted log can cost.
const MOST_TERMS: usize = 64;

/// English words that say how a question is put and not what it is about.
const STOP_WORDS: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
    "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "ll", "may", "me", "might", "must", "my", "no", "not", "of", "on", "or", "our", "please", "re", "s", "shall",
    "she", "should", "so", "such", "t", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "up", "us", "ve", "was", "we", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// Makes the analyzer that documents and queries share: words, lower case, without stop words, stemmed.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_TOKEN))
        .filter(LowerCaser)
        .filter(StopWordFilter::remove(STOP_WORDS.iter().map(ToString::to_string)))
        .filter(Stemmer::new(Language::English))
        .build()
}

/// Returns the distinct terms of a query, in order.
///
/// Whatever is not a letter or a digit only separates words, so there is no syntax to get wrong.
pub(super) fn terms(mut analyzer: TextAnalyzer, query: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut tokens = analyzer.token_stream(query);
    while terms.len() < MOST_TERMS && tokens.advance() {
        let term = &tokens.token().text;
        if !terms.contains(term) {
            terms.push(term.clone());
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Vec<String> {
        terms(analyzer(), query)
    }

    #[test]
    fn words_are_lowered_stemmed_and_named_once() {
        assert_eq!(of("Shedding sheds: SHED the queues' queue!"), ["shed", "queue"]);
    }

    #[test]
    fn what_only_asks_leaves_no_term() {
        for question in ["", " \n", "?!… -- ()", "What is it, and how do I do that?", "what's"] {
            assert_eq!(of(question), [""; 0], "{question}");
        }
    }

    #[test]
    fn query_syntax_is_only_punctuation() {
        assert_eq!(of("foo:bar \" (a AND +baz~2 [x TO"), ["foo", "bar", "baz", "2", "x"]);
    }

    #[test]
    fn a_pasted_log_is_searched_for_its_first_words() {
        let words = |n: usize| (0..n).map(|i| format!("w{i}")).collect::<Vec<_>>();
        assert_eq!(of(&words(1_000).join(" ")), words(MOST_TERMS));
    }

    #[test]
    fn other_scripts_are_words_too() {
        assert_eq!(of("Größe élan Ωmega"), ["größe", "élan", "ωmega"]);
    }
}
