//! From a block of prose to sentences that can stand alone.

use unicode_segmentation::UnicodeSegmentation;

/// A piece with fewer words is a label or an exclamation and stays with its neighbour.
const WORDS_OF_A_SENTENCE: usize = 4;

/// Dots behind these do not end a sentence.
const ABBREVIATIONS: [&str; 14] =
    ["e.g.", "i.e.", "cf.", "vs.", "etc.", "approx.", "resp.", "incl.", "fig.", "no.", "dr.", "mr.", "mrs.", "st."];

/// Splits a block into sentences, without what is no prose.
///
/// The bounds are those of Unicode (UAX #29), save that inline code, brackets and abbreviations hold together, and
/// that what has less than four words goes with its neighbour.
pub(super) fn sentences(block: &str) -> Vec<String> {
    let line = without_references(&block.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut sentences: Vec<String> = Vec::new();
    let mut open = String::new();
    for piece in line.split_sentence_bounds() {
        open.push_str(piece);
        if is_whole(&open) {
            sentences.push(std::mem::take(&mut open));
        }
    }
    match sentences.last_mut() {
        Some(last) if word_count(&open) < WORDS_OF_A_SENTENCE => last.push_str(&open),
        _ => sentences.push(open),
    }
    sentences
        .iter()
        .map(|sentence| polished(sentence))
        .filter(|sentence| is_prose(sentence))
        .map(str::to_owned)
        .collect()
}

pub(super) fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Removes numbers in square brackets that stand alone: they would be taken for numbers of our passages.
fn without_references(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let inside = from[1..].split(']').next().unwrap_or_default();
        let alone = kept.is_empty() || kept.ends_with(' ');
        let is_reference = alone && !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_digit());
        if is_reference && from.len() > inside.len() + 1 {
            kept.truncate(kept.trim_end().len());
            rest = &from[inside.len() + 2..];
        } else {
            kept.push('[');
            rest = &from[1..];
        }
    }
    kept.push_str(rest);
    kept
}

/// Whether a sentence may end here.
fn is_whole(text: &str) -> bool {
    let count = |wanted| text.chars().filter(|c| *c == wanted).count();
    let last_word = text.split_whitespace().next_back().unwrap_or_default();
    let last_word = last_word.trim_start_matches('(');
    count('`') % 2 == 0
        && count('(') <= count(')')
        && word_count(text) >= WORDS_OF_A_SENTENCE
        && !ABBREVIATIONS.iter().any(|abbreviation| last_word.eq_ignore_ascii_case(abbreviation))
}

/// Takes off what belongs to the layout around the sentence.
fn polished(sentence: &str) -> &str {
    let marker = |c: char| c.is_whitespace() || matches!(c, '-' | '*' | '#' | '>' | '|' | '•' | '–' | ',' | ';');
    sentence.trim_start_matches(marker).trim_end_matches([' ', ';', ',', '|'])
}

/// Tells prose from code, figures and ornaments that got into the text.
fn is_prose(sentence: &str) -> bool {
    let words = sentence.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    let mut symbols = 0;
    let mut letters = 0;
    // Every other part stands between back ticks.
    for text in sentence.split('`').step_by(2) {
        symbols += text.chars().filter(|c| "{}<>=|\\/_*#@$^&+~;".contains(*c)).count();
        letters += text.chars().filter(|c| !c.is_whitespace()).count();
    }
    // Without a full stop, three words are more often a label than a sentence.
    let least = if sentence.ends_with(['.', '!', '?']) { 3 } else { 5 };
    words >= least && symbols * 8 <= letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_unicode_says() {
        let block = "Every queue is bounded. Does it\nwait when it is full? It does, up to the door!";
        let expected = ["Every queue is bounded.", "Does it wait when it is full?", "It does, up to the door!"];
        assert_eq!(sentences(block), expected);
    }

    #[test]
    fn code_brackets_and_abbreviations_hold_together() {
        let whole = [
            "From here on, call `queue.pop()? Else wait` to take one item.",
            "Write it as `{a}<=>{b}|{c}` for now.",
            "It waits (for the door. Always) until there is room.",
            "It keeps some of them, e.g. Ollama and vLLM.",
            "Costs about 2.1 times as much as v1.2 does.",
        ];
        for sentence in whole {
            assert_eq!(sentences(sentence), [sentence]);
        }
    }

    #[test]
    fn labels_and_exclamations_stay_with_their_neighbours() {
        let block = "Backpressure (contract). A full queue makes the stage before it wait. Always.";
        let expected = ["Backpressure (contract). A full queue makes the stage before it wait. Always."];
        assert_eq!(sentences(block), expected);
    }

    #[test]
    fn layout_is_taken_off() {
        assert_eq!(sentences("- pop in batches, not one by one;"), ["pop in batches, not one by one"]);
        assert_eq!(sentences("| ## The queue is always bounded |"), ["The queue is always bounded"]);
    }

    #[test]
    fn what_is_no_prose_is_left_out() {
        for garbage in [
            "",
            "1 2 3 4",
            "Two words.",
            "A list of labels",
            "let x = foo(bar)?; y += {x};",
            "=== --- *** ___",
            "a|b|c d|e f|g",
        ] {
            assert!(sentences(garbage).is_empty(), "{garbage}");
        }
    }

    #[test]
    fn numbers_of_other_references_do_not_pass_for_ours() {
        let block = "As was shown [12], it holds for `a[1]` and b[2] in [all cases].";
        assert_eq!(sentences(block), ["As was shown, it holds for `a[1]` and b[2] in [all cases]."]);
        for open in ["An open [1 bracket is kept.", "The last one stays open [12"] {
            assert_eq!(sentences(open), [open]);
        }
    }
}
