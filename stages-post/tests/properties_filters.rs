//! Each filter of the stage: however a text is cut, what comes out is what its definition says of the whole.

mod common;

use std::sync::Arc;

use common::{Whole, answer, answer_in, cut};
use orchestrator_core::prelude::*;
use proptest::prelude::*;
use proptest::sample::Index;
use stages_post::{Citations, PostStage, ReasoningTags};

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..12)
}

/// What is left of `text` before the first sequence that is complete, by trying every end.
fn stopped<'a>(text: &'a str, sequences: &[String]) -> Option<&'a str> {
    (0..=text.len()).find_map(|end| {
        let before = text.get(..end)?;
        sequences.iter().filter_map(|sequence| before.strip_suffix(sequence.as_str())).min_by_key(|rest| rest.len())
    })
}

/// Text and reasoning of `text`, by going from tag to tag.
fn split(text: &str, tags: [&str; 2], opened: bool) -> (String, String) {
    let mut parts = [String::new(), String::new()];
    let (mut rest, mut kind) = (text, usize::from(opened));
    while let Some((before, behind)) = rest.split_once(tags[kind]) {
        parts[kind].push_str(before);
        (rest, kind) = (behind, 1 - kind);
    }
    parts[kind].push_str(rest);
    let [text, reasoning] = parts;
    (text, reasoning)
}

/// The numbers of a mark.
fn numbers(mark: &str) -> Option<Vec<usize>> {
    let numbers: Vec<&str> = mark.strip_prefix('[')?.strip_suffix(']')?.split(',').collect();
    let (first, last) = (0, numbers.len() - 1);
    let number = |(place, number): (usize, &&str)| {
        let number = if place > first { number.strip_prefix(' ').unwrap_or(number) } else { number };
        let number = if place < last { number.strip_suffix(' ').unwrap_or(number) } else { number };
        let digits = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| number.parse().expect("digits"))
    };
    (numbers.len() <= 8).then(|| numbers.iter().enumerate().map(number).collect())?
}

/// The text with its marks resolved, and what was cited, mark by mark.
fn resolved(text: &str, passages: usize) -> (String, Vec<usize>) {
    let (mut out, mut cited, mut rest) = (String::new(), Vec::new(), text);
    while let Some(open) = rest.find('[') {
        let (before, mark) = rest.split_at(open);
        out.push_str(before);
        let close = mark.find(']').map(|close| close + 1);
        let Some((close, numbers)) = close.and_then(|close| Some((close, numbers(&mark[..close])?))) else {
            out.push('[');
            rest = &mark[1..];
            continue;
        };
        let known = |number: &usize| (1..=passages).contains(number);
        // Zero is dropped, unknown numbers stay.
        let left = numbers.iter().all(|number| !known(number) && *number != 0);
        for number in &numbers {
            match number {
                0 => {}
                number if known(number) => {
                    out.push_str(&format!("<{number}:doc{number}>"));
                    if !cited.contains(number) {
                        cited.push(*number);
                    }
                }
                number if !left => out.push_str(&format!("[{number}]")),
                _ => {}
            }
        }
        if left {
            out.push_str(&mark[..close]);
        }
        rest = &mark[close..];
    }
    (out + rest, cited)
}

proptest! {
    #[test]
    fn an_answer_ends_where_the_first_sequence_is_complete(
        text in "[abé\n]{0,24}",
        sequences in prop::collection::vec("[abé\n]{1,4}", 1..5),
        cuts in cuts(),
    ) {
        let stage = PostStage::new().stop_sequences(sequences.clone());
        let Whole { text: out, finish, .. } = answer(&stage, &cut(&text, &cuts));
        let expected = stopped(&text, &sequences);
        prop_assert_eq!(&out, expected.unwrap_or(&text));
        prop_assert_eq!(finish.reason, FinishReason::Stop);
        // What the server counts at its end is not known where it was stopped.
        let usage = if expected.is_some() { Usage::default() } else { Usage::new(3, 4) };
        prop_assert_eq!(finish.usage, usage);
    }

    #[test]
    fn an_answer_is_cut_between_characters(text in "[aé\u{1F600}]{0,12}", limit in 1..40_usize, cuts in cuts()) {
        let whole = answer(&PostStage::new().max_bytes(limit), &cut(&text, &cuts));
        let fits = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).expect("zero");
        prop_assert_eq!(&whole.text, &text[..fits]);
        let reason = if text.len() > limit { FinishReason::Length } else { FinishReason::Stop };
        prop_assert_eq!(whole.finish.reason, reason);
    }

    #[test]
    fn reasoning_is_what_stands_between_the_tags(
        text in prop::collection::vec("<think>|</think>|<|/|think|>|[é<>a]{0,4}", 0..10).prop_map(|parts| parts.concat()),
        opened in any::<bool>(),
        cuts in cuts(),
    ) {
        let tags = ReasoningTags::default();
        let stage = PostStage::new().split_reasoning_with(if opened { tags.opened() } else { tags });
        let whole = answer(&stage, &cut(&text, &cuts));
        prop_assert_eq!((whole.text, whole.reasoning), split(&text, ["<think>", "</think>"], opened));
    }

    #[test]
    fn tags_may_overlap_themselves_and_each_other(text in "[ab]{0,16}", cuts in cuts()) {
        let stage = PostStage::new().split_reasoning_with(ReasoningTags::new("aab", "aba"));
        let whole = answer(&stage, &cut(&text, &cuts));
        prop_assert_eq!((whole.text, whole.reasoning), split(&text, ["aab", "aba"], false));
    }

    #[test]
    fn marks_are_resolved_wherever_they_are_cut(
        text in prop::collection::vec(r"\[[0-5]( ?, ?[1-9][0-9]?){0,3}\]|\[|\]|[0-9]{1,4}|, ?|[aé]", 0..10)
            .prop_map(|parts| parts.concat()),
        cuts in cuts(),
    ) {
        let cx = Context::standalone(RequestOptions::new());
        let passage = |number| Passage::new("", Source::new(format!("doc{number}")), 1.0);
        cx.insert(Passages(Arc::from_iter((1..=3).map(passage))));
        let stage = PostStage::new().citations(|number, passage| match passage {
            Some(passage) => Some(format!("<{number}:{}>", passage.source.document)),
            None => (number == 0).then(String::new),
        });
        let whole = answer_in(&cx, &stage, &cut(&text, &cuts));
        let (expected, cited) = resolved(&text, 3);
        prop_assert_eq!(whole.text, expected);
        prop_assert_eq!(cx.get::<Citations>().expect("kept, the reset sees to it").0.clone(), cited);
    }

    #[test]
    fn all_filters_in_a_row_do_not_see_where_a_text_was_cut(
        text in prop::collection::vec("<think>|</think>|sk-[a-z0-9]{16,20}|\\[1\\]|STOP?|[ \naé.]{0,6}|bob@example.org", 0..8)
            .prop_map(|parts| parts.concat()),
        cuts in cuts(),
    ) {
        thread_local!(static STAGE: PostStage = PostStage::new()
            .citations(|number, _| Some(format!("({number})")))
            .redact(stages_post::Redaction::new().secrets().emails())
            .stop_sequences(["STOP", "aa"])
            .trim()
            .max_bytes(40)
            .split_reasoning());
        STAGE.with(|stage| {
            prop_assert_eq!(answer(stage, &cut(&text, &cuts)), answer(stage, &[&text]));
            Ok(())
        })?;
    }
}

#[test]
fn of_sequences_that_end_together_the_longest_counts() {
    let stage = PostStage::new().stop_sequences(["c", "bc", "bcd"]);
    assert_eq!(answer(&stage, &["ab", "cd"]).text, "a");
    assert_eq!(answer(&stage, &["abx", "b", "c"]).text, "abx");
}
