//! Which sentences answer a question, and in which order they are quoted.

use orchestrator_core::retrieval::Passage;

use super::blocks::blocks;
use super::sentences::{sentences, word_count};
use super::terms::{Query, Terms};

/// What a term counts that stands in a heading above a sentence and not in the sentence.
const HEADING: f32 = 0.4;

/// What a term counts in addition that stands among the first words of a sentence: that is what it is about.
const LEAD: f32 = 0.5;

/// How many words that is.
const LEAD_WORDS: usize = 4;

/// Above 1, a sentence with two terms counts more than two sentences with one each.
const COVERAGE: f32 = 1.5;

/// How far a sentence longer than the others is marked down: 0 not at all, 1 in proportion to its length.
const LENGTH: f32 = 0.3;

/// What each passage in front of a sentence's own takes from it.
const RANK: f32 = 0.08;

/// A sentence is quoted beside the best one if it scores at least this part of it.
const CUTOFF: f32 = 0.5;

/// First words that point to a sentence which is not quoted with this one.
const POINTERS: [&str; 17] = [
    "it", "its", "they", "their", "this", "that", "these", "those", "he", "she", "such", "also", "then", "but", "and",
    "or", "however",
];

/// A sentence with what its score is made of.
struct Candidate {
    passage: usize,
    text: String,
    terms: Terms,
    lead: Terms,
    heading: Terms,
    words: f32,
    score: f32,
}

/// Answers with up to `limit` sentences, `None` where no sentence mentions what the question asks for.
pub(super) fn answer(question: &str, passages: &[Passage], limit: usize) -> Option<String> {
    let query = Query::new(question);
    if query.is_empty() {
        return None;
    }
    let mut candidates = candidates(&query, passages);
    score(&mut candidates);
    let chosen = choose(&candidates, limit);
    (!chosen.is_empty()).then(|| quote(&candidates, &chosen))
}

fn candidates(query: &Query, passages: &[Passage]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (passage, found) in passages.iter().enumerate() {
        let above = query.mentioned(&found.source.headings.join(" "));
        for block in blocks(&found.text) {
            let heading = above | query.mentioned(&block.heading);
            candidates.extend(sentences(&block.text).into_iter().map(|text| Candidate {
                passage,
                terms: query.mentioned(&text),
                lead: query.mentioned(lead(&text)),
                heading,
                words: word_count(&text) as f32,
                text,
                score: 0.0,
            }));
        }
    }
    candidates
}

/// Scores as BM25 does, with every sentence a document; a term counts once in a sentence.
fn score(candidates: &mut [Candidate]) {
    let count = candidates.len() as f32;
    let mean = candidates.iter().map(|c| c.words).sum::<f32>() / count.max(1.0);
    let weights: [f32; Terms::BITS as usize] = std::array::from_fn(|i| {
        let mentions = candidates.iter().filter(|c| c.terms >> i & 1 == 1).count() as f32;
        ((count - mentions + 0.5) / (mentions + 0.5)).ln_1p()
    });
    let weigh = |terms: Terms| -> f32 { (0..weights.len()).filter(|i| terms >> i & 1 == 1).map(|i| weights[i]).sum() };
    for candidate in candidates.iter_mut().filter(|c| c.terms != 0) {
        let terms = weigh(candidate.terms)
            + LEAD * weigh(candidate.lead)
            + HEADING * weigh(candidate.heading & !candidate.terms);
        let length = 1.0 - LENGTH + LENGTH * (candidate.words / mean).max(1.0);
        let rank = 1.0 + RANK * candidate.passage as f32;
        candidate.score = terms.powf(COVERAGE) * stands_alone(&candidate.text) / (length * rank);
    }
}

/// The first words of a sentence.
fn lead(text: &str) -> &str {
    let end = text.match_indices(' ').nth(LEAD_WORDS - 1).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// How well a sentence reads without those around it, up to 1.
fn stands_alone(text: &str) -> f32 {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if text.ends_with('?') {
        0.3
    } else if text.ends_with(':') {
        0.5
    } else if POINTERS.iter().any(|pointer| first.eq_ignore_ascii_case(pointer)) {
        0.7
    } else if first.starts_with(char::is_lowercase) {
        0.8
    } else {
        1.0
    }
}

/// Picks the best sentences, the best first. Of two that say the same, the longer one counts.
fn choose(candidates: &[Candidate], limit: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).filter(|i| candidates[*i].score > 0.0).collect();
    // Stable: among equals, the one that is met first.
    order.sort_by(|a, b| candidates[*b].score.total_cmp(&candidates[*a].score));
    let Some(best) = order.first().map(|i| candidates[*i].score) else { return Vec::new() };
    let mut chosen: Vec<usize> = Vec::new();
    for i in order {
        let text = &candidates[i].text;
        // Passages overlap, and where they are cut, so are their sentences.
        let overlaps = |c: &usize| candidates[*c].text.contains(text) || text.contains(&candidates[*c].text);
        match chosen.iter().position(overlaps) {
            Some(same) if candidates[chosen[same]].text.len() < text.len() => chosen[same] = i,
            None if chosen.len() < limit && candidates[i].score >= best * CUTOFF => chosen.push(i),
            _ => {}
        }
    }
    chosen
}

/// Writes the sentences with their sources: the passage of the best one first, those of one passage in its order.
fn quote(candidates: &[Candidate], chosen: &[usize]) -> String {
    let place = |passage| chosen.iter().position(|i| candidates[*i].passage == passage);
    let mut order = chosen.to_vec();
    order.sort_by_key(|i| (place(candidates[*i].passage), *i));
    let quotes: Vec<_> = order.iter().map(|i| &candidates[*i]).map(quoted).collect();
    quotes.join(" ")
}

/// A sentence with the number of its passage. List items and rows of tables are given the full stop that they lack.
fn quoted(candidate: &Candidate) -> String {
    let text = &candidate.text;
    let stop = if text.ends_with(['.', '!', '?', ':', '…', ')', '"', '”']) { "" } else { "." };
    format!("{text}{stop} [{}]", candidate.passage + 1)
}

#[cfg(test)]
mod tests {
    use orchestrator_core::retrieval::Source;

    use super::*;

    fn passages(texts: &[&str]) -> Vec<Passage> {
        texts.iter().map(|text| Passage::new(*text, Source::new("a.md"), 1.0)).collect()
    }

    fn ask(question: &str, limit: usize, texts: &[&str]) -> Option<String> {
        answer(question, &passages(texts), limit)
    }

    #[test]
    fn the_rare_word_of_a_question_decides() {
        let texts = ["A queue has a fixed depth. Entries are shed when they age. A queue belongs to one stage."];
        assert_eq!(ask("When does a queue shed?", 1, &texts).as_deref(), Some("Entries are shed when they age. [1]"));
    }

    #[test]
    fn a_sentence_with_both_words_goes_before_sentences_with_one() {
        let texts = ["Red ropes hold it. Tall lamps are lit. Red lamps mean stop."];
        assert_eq!(ask("red lamps", 3, &texts).as_deref(), Some("Red lamps mean stop. [1]"));
    }

    #[test]
    fn an_earlier_passage_goes_before_a_later_one() {
        let texts = ["Red lamps mean stop now and here.", "Tall lamps mean stop now."];
        assert_eq!(ask("lamps", 1, &texts).as_deref(), Some("Red lamps mean stop now and here. [1]"));
    }

    #[test]
    fn of_two_sentences_the_shorter_one_goes_first() {
        let texts = ["Red lamps mean stop in each harbour of this coast. Tall lamps mean stop."];
        assert_eq!(ask("lamps", 1, &texts).as_deref(), Some("Tall lamps mean stop. [1]"));
    }

    #[test]
    fn a_heading_helps_but_is_no_answer() {
        let mut found = passages(&["Lamps are lit at noon.", "Lamps are lit at dusk.", "Nothing about them is here."]);
        found[1].source = Source::new("a.md").headings(vec!["Harbour".to_owned()]);
        found[2].source = found[1].source.clone();
        let lit = answer("When are harbour lamps lit?", &found, 1);
        assert_eq!(lit.as_deref(), Some("Lamps are lit at dusk. [2]"));
        assert_eq!(answer("What is the harbour?", &found, 1), None);
        let inside = ask(
            "harbour lamps",
            1,
            &[
                "Lamps are lit at noon.",
                "# Harbour
Lamps are lit at dusk.",
            ],
        );
        assert_eq!(inside.as_deref(), Some("Lamps are lit at dusk. [2]"));
    }

    #[test]
    fn what_a_sentence_begins_with_is_what_it_is_about() {
        let texts = ["Most of the time nobody ever looks at slots.", "Slots say how much a server takes at once."];
        let expected = "Slots say how much a server takes at once. [2]";
        assert_eq!(ask("What are slots?", 1, &texts).as_deref(), Some(expected));
    }

    #[test]
    fn a_sentence_that_can_stand_alone_is_preferred() {
        let alone = "The deadline holds at the door.";
        for other in ["It is a deadline of its own.", "Is the deadline at the door?", "The deadline at the door holds:"]
        {
            let expected = format!("{alone} [2]");
            assert_eq!(ask("deadline", 1, &[other, alone]), Some(expected), "{other}");
        }
    }

    #[test]
    fn sentences_that_fit_much_worse_are_not_quoted() {
        let texts =
            ["Eviction takes the oldest entry of the lowest class. Every entry has a class. Cats sleep all day."];
        let answer = ask("How does eviction choose the oldest entry?", 3, &texts);
        assert_eq!(answer.as_deref(), Some("Eviction takes the oldest entry of the lowest class. [1]"));
    }

    #[test]
    fn sentences_of_one_passage_stay_in_their_order() {
        let texts = ["The door is a queue, as it was.", "Deadlines hold at the door. A door may wait."];
        assert_eq!(ask("wait doors", 1, &texts).as_deref(), Some("A door may wait. [2]"));
        let expected = "Deadlines hold at the door. [2] A door may wait. [2]";
        assert_eq!(ask("waiting: doors, hold", 3, &texts).as_deref(), Some(expected));
    }

    #[test]
    fn the_passage_of_the_best_sentence_comes_first() {
        let texts = ["At night, most of the red lamps are lit.", "Red lamps mean stop. Cats sleep."];
        let expected = "Red lamps mean stop. Cats sleep. [2] At night, most of the red lamps are lit. [1]";
        assert_eq!(ask("red lamps", 3, &texts).as_deref(), Some(expected));
    }

    #[test]
    fn passages_that_overlap_are_quoted_once() {
        let cut = "are cancelled when they do not read.";
        let texts =
            ["Readers are cancelled when they do not read.", cut, "Readers are cancelled when they do not read."];
        let expected = Some("Readers are cancelled when they do not read. [1]".to_owned());
        assert_eq!(ask("cancelled", 3, &texts), expected);
        // The cut one fits better here; the whole one takes its place.
        let texts = ["the readers are cancelled at once.", "Then all of the readers are cancelled at once."];
        let expected = Some("Then all of the readers are cancelled at once. [2]".to_owned());
        assert_eq!(ask("cancelled readers", 3, &texts), expected);
    }

    #[test]
    fn a_full_stop_is_added_where_one_lacks() {
        let texts = ["- pop entries in batches, push them in batches;", "| `Batch` | several entries at once |"];
        let expected = "`Batch`: several entries at once. [2] pop entries in batches, push them in batches. [1]";
        assert_eq!(ask("What are batches of entries?", 2, &texts).as_deref(), Some(expected));
    }

    #[test]
    fn nothing_is_quoted_where_nothing_fits() {
        let texts = ["A queue is bounded, and it is what it is."];
        assert_eq!(ask("What is the capital of France?", 3, &texts), None);
        assert_eq!(ask("What is it?", 3, &texts), None);
        assert_eq!(ask("", 3, &texts), None);
        assert_eq!(ask("queue", 3, &[]), None);
        assert_eq!(ask("queue", 3, &["```\nlet queue = 1;\n```"]), None);
    }
}
