//! Redaction against a matcher that tries everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use regex_syntax::hir::{Hir, HirKind};

use super::*;
use crate::filter::{Filtered, TextFilter};
use crate::scan::tests::{cut, ends};
use crate::scan::{Candidate, Pattern};

fn compiled(redaction: &Redaction) -> Arc<Rules> {
    Arc::new(redaction.compile().expect("usable patterns"))
}

fn redact(rules: &Arc<Rules>, pieces: &[&str]) -> String {
    let mut filter = Redact::new(rules.clone());
    let (mut all, mut out) = (String::new(), String::new());
    // A void text first: a reset leaves nothing behind.
    let _ = filter.push("void sk-01234567890123456 +49 170 ", &mut out);
    filter.reset();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        out.clear();
        match filter.push(piece, &mut out) {
            Filtered::Unchanged => all.push_str(piece),
            Filtered::Changed => all.push_str(&out),
            Filtered::End(_) => panic!("it does not end"),
        }
    }
    filter.flush(&mut all);
    all
}

/// All matches of a pattern, with everything that belongs to them.
fn matches(pattern: &Pattern, text: &str) -> Vec<(usize, usize)> {
    let parse = |part: &str| regex_syntax::parse(part).expect("a usable pattern");
    let (need, rest) = pattern.tail.map_or(("", ""), |tail| (tail.need, tail.rest));
    let (core, rest) = (parse(&format!("(?:{})(?:{need})", pattern.head)), parse(rest));
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for start in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        for end in ends(&core, bytes, start) {
            let candidate = Candidate {
                text: &text[start..end],
                before: start.checked_sub(1).map(|i| bytes[i]),
                after: bytes.get(end).copied(),
            };
            if pattern.valid.is_none_or(|valid| valid(&candidate)) {
                found.push((start, *ends(&rest, bytes, end).last().expect("the rest may be empty")));
            }
        }
    }
    found
}

/// Whether a match that starts at `start` would go on behind the end of `text`.
fn goes_beyond(hir: &Hir, text: &[u8], start: usize) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => {
            let rest = &text[start..];
            rest.len() < literal.0.len() && literal.0.starts_with(rest)
        }
        HirKind::Class(_) => start == text.len(),
        HirKind::Capture(capture) => goes_beyond(&capture.sub, text, start),
        HirKind::Alternation(parts) => parts.iter().any(|part| goes_beyond(part, text, start)),
        HirKind::Concat(parts) => {
            let mut at = BTreeSet::from([start]);
            parts.iter().any(|part| {
                let beyond = at.iter().any(|start| goes_beyond(part, text, *start));
                at = at.iter().flat_map(|start| ends(part, text, *start)).collect();
                beyond
            })
        }
        HirKind::Repetition(repetition) => {
            let mut at = BTreeSet::from([start]);
            (0..repetition.max.expect("what has to follow has a maximum length")).any(|_| {
                let beyond = at.iter().any(|start| goes_beyond(&repetition.sub, text, *start));
                at = at.iter().flat_map(|start| ends(&repetition.sub, text, *start)).collect();
                beyond
            })
        }
    }
}

/// The matches of a pattern that the end of the text cuts.
fn cut_matches(pattern: &Pattern, text: &str) -> Vec<(usize, usize)> {
    let Some(tail) = pattern.tail.filter(|tail| !tail.need.is_empty()) else { return Vec::new() };
    let [head, need] = [&pattern.head, tail.need].map(|part| regex_syntax::parse(part).expect("a usable pattern"));
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for start in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        for end in ends(&head, bytes, start) {
            let before = start.checked_sub(1).map(|i| bytes[i]);
            let candidate = Candidate { text: &text[start..], before, after: None };
            let cut = ends(&need, bytes, end).is_empty() && goes_beyond(&need, bytes, end) && text.len() - end >= 6;
            if cut && pattern.valid.is_none_or(|valid| valid(&candidate)) {
                found.push((start, text.len()));
            }
        }
    }
    found
}

/// What redaction is: every byte in a match goes, overlapping matches are one, the first pattern names it.
fn naive(redaction: &Redaction, text: &str) -> String {
    let mut all: Vec<(usize, usize, usize)> = Vec::new();
    for (number, (_, pattern)) in redaction.rules().iter().enumerate() {
        let found = matches(pattern, text).into_iter().chain(cut_matches(pattern, text));
        all.extend(found.map(|(start, end)| (start, number, end)));
    }
    all.sort_unstable();
    let (mut out, mut reach) = (String::new(), 0);
    for (start, number, end) in all {
        if start >= reach {
            out.push_str(&text[reach..start]);
            out.push_str(&format!("[{}]", redaction.rules()[number].0));
        }
        reach = reach.max(end);
    }
    out + &text[reach..]
}

fn closures() -> Redaction {
    Redaction::new()
        .pattern("twins", "aa|bb")
        .pattern("run", "[ab]{3,6}")
        .pattern("mark", "é.{0,2}é")
        .pattern("word", r"(?-u:\b)c[abc]{1,3}(?-u:\b)")
}

/// Pieces of what the presets look for, broken and whole, side by side.
fn debris() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z]{1,3}|[0-9]{1,4}|[ .,:/()@+-]|[é\u{1F600}]",
        1 => Just("sk-proj-".to_owned()),
        1 => "sk-[a-zA-Z0-9_-]{14,18}",
        1 => "task-[a-z]{6}-[a-z]{6}-",
        1 => "AKIA[A-Z0-9]{15,17}",
        1 => "ghp_[a-zA-Z0-9]{35,37}",
        1 => "(ghp_|AKIA|sk-|-----BEGIN |Bearer )[A-Z0-9]{4,7}",
        1 => Just("eyJ".to_owned()),
        1 => r"eyJ[a-z]{7,9}\.eyJ[a-z]{7,9}\.",
        1 => r"eyJhbGci[a-z]{0,3}\.?",
        1 => "(?i:bearer) [a-z]{15,17}[A-Z0-9]?",
        1 => "(-----BEGIN ){1,2}(RSA )?PRIVATE KEY-----\n[a-zA-Z0-9+/=\n]{0,9}(-----(END RSA PRIVATE KEY-----)?)?",
        1 => r"[a-z.]{0,4}@[a-z-]{0,4}\.[a-z]{1,3}\.",
        1 => r"\+49[ ./()-]{0,3}[0-9]{3}[ -]?[0-9]{4,9}",
        1 => r"\(?555\)?[ .-][0-9]{3}[ .-][0-9]{4}",
        1 => "0[1-9]([ ./-][0-9]{2}){3,6}",
        1 => "4111[ -]?1111[ -]?1111[ -]?1111",
        1 => "[0-9]{12,20}",
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_patterns_redact_what_trying_everything_finds(
        text in "[abcé ]{0,24}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
    ) {
        thread_local!(static RULES: Arc<Rules> = compiled(&closures()));
        let out = RULES.with(|rules| redact(rules, &cut(&text, &cuts)));
        prop_assert_eq!(out, naive(&closures(), &text));
    }

    #[test]
    fn the_presets_redact_what_trying_everything_finds(
        text in debris(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        thread_local!(static RULES: Arc<Rules> = compiled(&Redaction::all()));
        let out = RULES.with(|rules| redact(rules, &cut(&text, &cuts)));
        prop_assert_eq!(out, naive(&Redaction::all(), &text));
    }
}

#[test]
fn what_the_presets_take_out_and_what_they_leave() {
    let rules = compiled(&Redaction::all());
    for (text, expected) in [
        ("my key is sk-proj-abcdefghij0123456789, ok?", "my key is [secret], ok?"),
        ("sk-ant-api03-AAAA_bbbb-CCCC", "[secret]"),
        ("task-oriented-programming-languages", "task-oriented-programming-languages"),
        ("risk-2024-assessment-report", "risk-2024-assessment-report"),
        (r#"{"key":"new:\nsk-0123456789abcdef0123"}"#, r#"{"key":"new:\n[secret]"}"#),
        ("riskless: xsk-Abcdefghij0123456789", "riskless: x[secret]"),
        ("AKIAIOSFODNN7EXAMPLE.", "[secret]."),
        ("(ghp_0123456789abcdefghijABCDEFGHIJ012345)", "([secret])"),
        ("github_pat_11ABCDEFG0123456789abc_defghijk", "[secret]"),
        ("xoxb-123456789012-abcdef", "[secret]"),
        ("key=AIzaSyA-0123456789abcdefghijklmnopqrs_w;", "key=[secret];"),
        ("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln. Then", "see [secret]. Then"),
        ("Authorization: Bearer abcdef0123456789==", "Authorization: [secret]"),
        ("the bearer responsibilities are", "the bearer responsibilities are"),
        ("Bearer abcdefghijklmnopqrstuvwx", "[secret]"),
        ("Bearer abcdefghijklmnopq7stuvwx", "[secret]"),
        ("it is ghp_0123456789abcdefghijABCDEFGHIJ01234", "it is [secret]"),
        ("it is ghp_012345", "it is [secret]"),
        ("it is ghp_01234", "it is ghp_01234"),
        ("task-oriented", "task-oriented"),
        ("-----BEGIN RSA PRIV", "[secret]"),
        ("mail bob.o+x@mail.example.co.uk.", "mail [email]."),
        ("mail takeshi@is.s.u-tokyo.ac.jp, a@b.c.d.e.fr.", "mail [email], [email]."),
        ("a@b, @name, x@y", "a@b, @name, x@y"),
        ("call +49 (0)30 1234567 or (555) 123-4567 or 01 23 45 67 89!", "call [phone] or [phone] or [phone]!"),
        ("on 01.02.2024 at 12:30, 2024-01-02 03:04, 3.14159", "on 01.02.2024 at 12:30, 2024-01-02 03:04, 3.14159"),
        ("4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005", "[card], [card], [card]"),
        ("4111 1111 1111 1112 and 94111111111111111234", "4111 1111 1111 1112 and 94111111111111111234"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIE+/=\n-----END RSA PRIVATE KEY-----\nis it",
            "[secret]\nis it",
        ),
        ("-----BEGIN PUBLIC KEY-----\nMIIE\n", "-----BEGIN PUBLIC KEY-----\nMIIE\n"),
    ] {
        assert_eq!(redact(&rules, &[text]), expected);
        let bytewise: Vec<&str> = text.split("").collect();
        assert_eq!(redact(&rules, &bytewise), expected);
    }
}

#[test]
fn a_key_is_taken_out_as_long_as_it_goes_on_without_being_held() {
    let rules = compiled(&Redaction::new().secrets());
    let mut filter = Redact::new(rules);
    let mut out = String::new();
    let _ = filter.push("-----BEGIN PRIVATE KEY-----\n", &mut out);
    for _ in 0..10_000 {
        let _ = filter.push("MIIEvQIBADANBgkqhkiG\n", &mut out);
        assert!(filter.held() <= 4096);
    }
    let _ = filter.push("-----END PRIVATE KEY-----, so", &mut out);
    filter.flush(&mut out);
    assert_eq!(out, "[secret], so");
}

#[test]
fn no_more_than_the_window_is_held() {
    let redaction = Redaction::all();
    let (rules, window) = (compiled(&redaction), redaction.window());
    for piece in ["a", "1", "sk-", "eyJ", "eyJabcdefgh.", "-----BEGIN ", "a@", "b.", "0 ", "+4", "é"] {
        let mut filter = Redact::new(rules.clone());
        let mut out = String::new();
        for _ in 0..2_000 {
            let _ = filter.push(piece, &mut out);
            assert!(filter.lag() <= window + 3, "{piece:?}: {} bytes held", filter.lag());
            assert!(filter.held() <= 64 * window, "{piece:?}: {} bytes in memory", filter.held());
        }
    }
}

#[test]
fn a_large_piece_full_of_beginnings_is_read_a_few_times() {
    let rules = compiled(&Redaction::all());
    for part in ["sk-", "ghp_", "eyJ", "Bearer ", "a@b.cd ", "-----BEGIN ", "0 ", "+4"] {
        let mut filter = Redact::new(rules.clone());
        let text = part.repeat(64 * 1024 / part.len());
        let _ = filter.push(&text, &mut String::new());
        // What follows each of the heads in a block, or in the window, is read.
        assert!(filter.steps() <= 400 * text.len(), "{part:?}: {} steps for {} bytes", filter.steps(), text.len());
    }
}
