//! The scanner against a matcher that tries everything, on texts that are cut anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::*;

/// Returns where the matches of `hir` end that start at `start`, by trying everything.
pub(crate) fn ends(hir: &Hir, text: &[u8], start: usize) -> BTreeSet<usize> {
    match hir.kind() {
        HirKind::Empty => BTreeSet::from([start]),
        HirKind::Literal(literal) => {
            text[start..].starts_with(&literal.0).then(|| start + literal.0.len()).into_iter().collect()
        }
        HirKind::Class(class) => class_end(class, text, start).into_iter().collect(),
        HirKind::Look(look) => looks(*look, text, start).then_some(start).into_iter().collect(),
        HirKind::Capture(capture) => ends(&capture.sub, text, start),
        HirKind::Concat(parts) => parts.iter().fold(BTreeSet::from([start]), |at, part| each(&at, part, text)),
        HirKind::Alternation(parts) => parts.iter().flat_map(|part| ends(part, text, start)).collect(),
        HirKind::Repetition(repetition) => {
            let mut at = BTreeSet::from([start]);
            let mut all = if repetition.min == 0 { at.clone() } else { BTreeSet::new() };
            for round in 1..=repetition.max.unwrap_or(u32::MAX) {
                at = each(&at, &repetition.sub, text);
                let known = all.len();
                if round >= repetition.min {
                    all.extend(&at);
                }
                if at.is_empty() || (round > repetition.min && all.len() == known) {
                    break;
                }
            }
            all
        }
    }
}

fn each(starts: &BTreeSet<usize>, hir: &Hir, text: &[u8]) -> BTreeSet<usize> {
    starts.iter().flat_map(|start| ends(hir, text, *start)).collect()
}

fn class_end(class: &Class, text: &[u8], start: usize) -> Option<usize> {
    match class {
        Class::Bytes(class) => {
            let byte = *text.get(start)?;
            class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&byte)).then_some(start + 1)
        }
        Class::Unicode(class) => {
            let c = std::str::from_utf8(&text[start..]).ok()?.chars().next()?;
            class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&c)).then_some(start + c.len_utf8())
        }
    }
}

fn looks(look: Look, text: &[u8], at: usize) -> bool {
    let word = |i: usize| text.get(i).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let before = at > 0 && word(at - 1);
    match look {
        Look::Start => at == 0,
        Look::End => at == text.len(),
        Look::StartLF => at == 0 || text[at - 1] == b'\n',
        Look::EndLF => at == text.len() || text[at] == b'\n',
        Look::WordAscii => before != word(at),
        other => panic!("no test uses {other:?}"),
    }
}

/// The longest valid match of each pattern at each end, by trying everything.
fn naive(patterns: &[Pattern], text: &str) -> BTreeSet<(usize, usize, usize)> {
    let mut found = BTreeSet::new();
    for (number, pattern) in patterns.iter().enumerate() {
        let (head, _) = pattern.parse().expect("a usable pattern");
        let mut seen = BTreeSet::new();
        for start in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
            for end in ends(&head, text.as_bytes(), start) {
                if seen.insert(end) {
                    found.insert((end, number, start));
                }
            }
        }
    }
    found
}

/// What the scanner finds in `pieces`, and whether it ever held back more than its window.
fn scanned(patterns: &Arc<Patterns>, pieces: &[&str]) -> BTreeSet<(usize, usize, usize)> {
    let mut scan = Scan::new(patterns.clone());
    // Twice, with a void text between: a reset leaves nothing behind.
    scan.push("sk-a 12");
    scan.reset();
    let mut found = BTreeSet::new();
    let mut settled = 0;
    for piece in pieces {
        scan.push(piece);
        for f in scan.found.drain(..) {
            assert!(f.start >= settled, "found in what was settled");
            found.insert((f.end, f.number, f.start));
        }
        assert!(scan.settled() >= settled, "what is settled stays settled");
        settled = scan.settled();
        assert!(scan.end() - settled <= patterns.window() + 3, "held beyond the window and a character's rest");
        scan.forget(settled);
    }
    scan.finish();
    for f in scan.found.drain(..) {
        assert!(f.start >= settled);
        found.insert((f.end, f.number, f.start));
    }
    assert_eq!(scan.settled(), scan.end());
    found
}

fn compile(patterns: &[&str]) -> (Vec<Pattern>, Arc<Patterns>) {
    let patterns: Vec<_> = patterns.iter().map(|p| Pattern::new(*p, *p)).collect();
    let compiled = Arc::new(Patterns::new(&patterns).expect("usable patterns"));
    (patterns, compiled)
}

/// Cuts `text` behind the characters that `cuts` names.
pub(crate) fn cut<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a str> {
    let boundaries: Vec<usize> = (0..=text.len()).filter(|i| text.is_char_boundary(*i)).collect();
    let mut at: Vec<usize> = cuts.iter().map(|cut| *cut.get(&boundaries)).chain([0, text.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

const SETS: &[&[&str]] = &[
    &["ab", "abab", "b"],
    &["[ab]{4}"],
    &["a[ab]{2,9}", "b{3}", "[ab]{1,4}é"],
    &["sk-[a-z-]{2,20}", "[0-9](?:[ -]?[0-9]){3,7}"],
    &[r"(?-u:\b)[0-9]{2,4}(?-u:\b)", r"(?m:^)a", r"é$", r"(?m:b$)"],
    &["[^ab]{1,3}", "(?i)K", r"\A[ab]{1,2}"],
    &["aé?b{0,6}a", "(?:ab|ba){2,7}", "é{1,12}"],
    // What they begin with may be missing, and counted as little as that.
    &["[ab]{0,5}é"],
    &["(?:ab){0,5}k", "[0-9]{0,6}?-"],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_match_is_found_wherever_the_text_is_cut(
        set in 0..SETS.len(),
        text in "(?s:[ab]|[ab]|[é]|[k\u{212a}]|[0-9]|sk-|[ \n-]){0,40}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        thread_local! {
            static COMPILED: Vec<(Vec<Pattern>, Arc<Patterns>)> = SETS.iter().map(|set| compile(set)).collect();
        }
        COMPILED.with(|compiled| {
            let (patterns, compiled) = &compiled[set];
            prop_assert_eq!(scanned(compiled, &cut(&text, &cuts)), naive(patterns, &text));
            Ok(())
        })?;
    }
}

#[test]
fn prose_is_settled_at_once_where_nothing_can_have_begun() {
    let (_, compiled) = compile(&["sk-[a-z]{4}", r"(?-u:\b)xox[0-9]{9}"]);
    let mut scan = Scan::new(compiled);
    for piece in ["An answer", " in wor", "ds, é", " and more."] {
        scan.push(piece);
        assert_eq!(scan.settled(), scan.end(), "{piece:?}");
    }
    scan.push(" s");
    assert_eq!(scan.settled(), scan.end() - 1);
    scan.push("o");
    assert_eq!(scan.settled(), scan.end());
}

#[test]
fn a_long_answer_does_not_stay_in_memory() {
    let (_, compiled) = compile(&["[a-z]{1,64}@"]);
    let mut scan = Scan::new(compiled);
    for _ in 0..10_000 {
        scan.push("aaaa ");
        scan.push("aaaaaaaaé");
        scan.forget(scan.settled());
        assert!(scan.kept() <= 2048, "{} bytes", scan.kept());
    }
}

#[test]
fn patterns_that_multiply_are_looked_for_in_groups() {
    let many: Vec<String> = (0..12).map(|i| format!("[a-z]{{3,9}}{i}[a-z0-9]{{3,40}}x{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_, compiled) = compile(&many);
    assert!(compiled.groups() > 1);
    let found = scanned(&compiled, &["abc7de", "fx7 abc", "11abcx11"]);
    assert_eq!(
        found.into_iter().map(|(end, number, start)| (start, end, number)).collect::<Vec<_>>(),
        [(0, 9, 7), (10, 20, 1), (10, 21, 11)]
    );
}

#[test]
fn what_cannot_be_looked_for_is_refused_with_the_patterns_name() {
    let problem = |head: &str| {
        let patterns = [Pattern::new("fine", "a"), Pattern::new("odd", head)];
        Patterns::new(&patterns).expect_err(head).to_string()
    };
    for (head, words) in [
        ("a+", "no maximum length"),
        ("a{2,}", "no maximum length"),
        ("(?s).*", "must not match the empty text"),
        ("a?", "must not match the empty text"),
        ("(?:)", "must not match the empty text"),
        (r"\bab", r"(?-u:\b)"),
        (r"ab\B", "Unicode word boundary"),
        ("a(", "is not a regular expression"),
        ("[a&&b]", "can match no text"),
        (r"(?-u:\xff)", "is not a regular expression"),
        (r"[a-z]{1,900}x[a-z]{1,900}", "too large an automaton"),
    ] {
        let problem = problem(head);
        assert!(problem.starts_with("pattern `odd` ") && problem.contains(words), "{head}: {problem}");
    }
}
