//! No secret leaves, wherever its text is cut, by whichever way.

mod common;

use common::{Whole, call, finish, reasoning, run};
use fastrand::Rng;
use orchestrator_core::prelude::*;
use stages_post::{PostStage, Redaction};

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn chars(rng: &mut Rng, among: &str, count: usize) -> String {
    (0..count).map(|_| char::from(among.as_bytes()[rng.usize(..among.len())])).collect()
}

/// A card number of `length` digits, in groups or not.
fn card(rng: &mut Rng, length: usize) -> String {
    let mut digits: Vec<u32> = (1..length).map(|_| rng.u32(0..10)).collect();
    let doubled = |(i, d): (usize, &u32)| if i % 2 == 0 { d * 2 % 10 + d / 5 } else { *d };
    let sum: u32 = digits.iter().rev().enumerate().map(doubled).sum();
    digits.push((10 - sum % 10) % 10);
    let separator = ["", " ", "-"][rng.usize(..3)];
    let digit = |(i, d): (usize, u32)| if i > 0 && i % 4 == 0 { format!("{separator}{d}") } else { d.to_string() };
    digits.into_iter().enumerate().map(digit).collect()
}

/// A secret of each kind in turn.
fn secret(rng: &mut Rng, kind: usize) -> String {
    let url = &format!("{LETTERS}_-");
    let length = rng.usize(0..40);
    match kind {
        0 => format!("sk-{}", chars(rng, url, 20 + length)),
        1 => format!("sk-ant-api03-{}", chars(rng, url, 40 + length)),
        2 => format!("AKIA{}", chars(rng, &LETTERS[26..], 16).to_uppercase()),
        3 => format!("ghp_{}", chars(rng, LETTERS, 36)),
        4 => format!("github_pat_{}_{}", chars(rng, LETTERS, 22), chars(rng, LETTERS, 59)),
        5 => format!("xoxb-{}-{}", rng.u64(100_000_000_000..999_999_999_999), chars(rng, LETTERS, 24)),
        6 => format!("AIza{}", chars(rng, url, 35)),
        7 => format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", chars(rng, url, 30 + length), chars(rng, url, 43)),
        8 => format!("eyJ{}.eyJ{}.{}", chars(rng, url, 60 + length), chars(rng, url, 30), chars(rng, url, 43)),
        9 => {
            let body: Vec<String> = (0..3).map(|_| chars(rng, &format!("{LETTERS}+/"), 64)).collect();
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", body.join("\n"))
        }
        10 => format!("Bearer {}", chars(rng, url, 24 + length)),
        11 => format!("{}.{}@{}.example.com", chars(rng, LETTERS, 4), chars(rng, LETTERS, 6), chars(rng, LETTERS, 5)),
        12 => format!("+49 {} {}", rng.u32(100..999), rng.u32(1_000_000..99_999_999)),
        13 => format!("({}) {}-{}", rng.u32(200..999), rng.u32(100..999), rng.u32(1000..9999)),
        14 => format!("0{} {}", rng.u32(30..999), rng.u32(1_000_000..9_999_999)),
        15 => format!("sk_live_{}", chars(rng, LETTERS, 24)),
        16 => format!("glpat-{}", chars(rng, url, 20)),
        _ => card(rng, 13 + kind % 7),
    }
}

const KINDS: usize = 24;

/// Prose of several scripts, without a letter or a digit that could be part of a secret beside it.
const PROSE: [&str; 8] = [
    " The key is ",
    ", naïve café — ",
    "\n\n鍵はこれです:「",
    " 🗝️ ",
    "; then (",
    "' and \"",
    " привет, ",
    "» eyJ sk- Bearer @ +4 [1] «",
];

/// Text with a few secrets, some side by side; and what of them must not be seen: any eight characters of the random part.
fn text(rng: &mut Rng, secrets: &[String]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut held = Vec::new();
    for _ in 0..rng.usize(1..4) {
        text.push_str(PROSE[rng.usize(..PROSE.len())]);
        for _ in 0..rng.usize(1..3) {
            let number = rng.usize(..secrets.len());
            text.push_str(&secrets[number]);
            held.push(number);
            // Side by side: a break that is no part of either.
            text.push_str(["é", "\n", ", ", "」"][rng.usize(..4)]);
        }
    }
    text.push_str(PROSE[rng.usize(..PROSE.len())]);
    (text, held)
}

/// Cuts at random: into tokens, into characters, or into a few long pieces.
fn random_pieces<'a>(rng: &mut Rng, text: &'a str) -> Vec<&'a str> {
    let most = [1, 8, 40, 400][rng.usize(..4)];
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut at = rng.usize(1..=most).min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, behind) = rest.split_at(at);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// The parts of a secret that tell it: for each kind, its last characters and some in the middle.
fn telling(secret: &str) -> [&str; 2] {
    let (length, eight) = (secret.len(), 8.min(secret.len()));
    let end = if secret.ends_with("-----") { length - 40 } else { length };
    let middle = (end / 2).max(eight);
    [&secret[end - eight..end], &secret[middle - eight..middle]]
}

#[test]
fn no_secret_leaves_over_a_hundred_thousand_splits() {
    let mut rng = Rng::with_seed(0x5EC4E7);
    let secrets: Vec<String> = (0..10 * KINDS).map(|i| secret(&mut rng, i % KINDS)).collect();
    assert!(secrets.len() >= 200);
    let stage = PostStage::new().redact(Redaction::all());
    let mut splits = 0;
    while splits < 100_000 {
        let (text, held) = text(&mut rng, &secrets);
        let whole = Whole::of(&run(&stage, [TokenEvent::text_delta(text.as_str()), finish()])).text;
        for number in &held {
            for part in telling(&secrets[*number]) {
                assert!(!whole.contains(part), "{part:?} of {:?} left: {whole:?}", secrets[*number]);
            }
        }
        for _ in 0..50 {
            let events = random_pieces(&mut rng, &text).into_iter().map(TokenEvent::text_delta).chain([finish()]);
            let out = Whole::of(&run(&stage, events)).text;
            assert_eq!(out, whole, "the split made a difference in {text:?}");
            splits += 1;
        }
    }
}

#[test]
fn no_secret_leaves_through_reasoning_or_tool_calls_either() {
    let mut rng = Rng::with_seed(0xA51DE);
    let secrets: Vec<String> = (0..10 * KINDS).map(|i| secret(&mut rng, i % KINDS)).collect();
    let stage = PostStage::new().split_reasoning().redact(Redaction::all());
    for _ in 0..2_000 {
        // Four channels, whose pieces come in turn: a text, the reasoning inside of it, and two calls.
        let texts: Vec<(String, Vec<usize>)> = (0..3).map(|_| text(&mut rng, &secrets)).collect();
        let mut pieces: Vec<_> = texts.iter().map(|(text, _)| random_pieces(&mut rng, text).into_iter()).collect();
        let mut events = Vec::new();
        while pieces.iter().any(|pieces| pieces.len() > 0) {
            let channel = rng.usize(..3);
            let Some(piece) = pieces[channel].next() else { continue };
            events.push(match channel {
                0 => TokenEvent::text_delta(piece),
                1 => reasoning(piece),
                _ => call(rng.u32(..2), piece),
            });
        }
        events.push(finish());
        // The pieces of the last text went to two calls at random: what each of them got is what counts there.
        let whole = Whole::of(&run(&stage, events.clone()));
        let calls = Whole::of(&events).calls;
        for (number, out) in whole.calls.iter().enumerate() {
            let expected = Whole::of(&run(&stage, [TokenEvent::text_delta(calls[number].as_str()), finish()]));
            assert_eq!(*out, expected.text);
        }
        for (out, (_, held)) in [&whole.text, &whole.reasoning].into_iter().zip(&texts) {
            for number in held {
                for part in telling(&secrets[*number]) {
                    assert!(!out.contains(part), "{part:?} left: {out:?}");
                }
            }
        }
    }
}

/// Arguments whose strings have a secret in them behind an escape of each kind, with what must not be seen of it.
fn arguments(rng: &mut Rng, secrets: &[String]) -> (String, Vec<usize>) {
    let numbers: Vec<usize> = (0..rng.usize(1..4)).map(|_| rng.usize(..secrets.len())).collect();
    let mut arguments = String::from(r#"{"body":"Hi,"#);
    for number in &numbers {
        arguments.push_str([r"\n", r"\t", r"\r\n", r"\u00e9", r#"\""#, r"\\", r"\/"][rng.usize(..7)]);
        let quoted = serde_json::to_string(&secrets[*number]).expect("JSON");
        arguments.push_str(&quoted[1..quoted.len() - 1]);
    }
    arguments.push_str(r#"\n","more":["\u0000",1]}"#);
    (arguments, numbers)
}

#[test]
fn arguments_stay_json_and_hide_nothing_behind_an_escape() {
    let mut rng = Rng::with_seed(0xE5CA9E);
    let secrets: Vec<String> = (0..10 * KINDS).map(|i| secret(&mut rng, i % KINDS)).collect();
    // White space, which escapes are shown as, may be a part of what a pattern matches.
    let redaction = Redaction::all().pattern("greeting", r"(?-u:\b)Hi,\s").replacement(|name| format!("\"{name}\\"));
    let stage = PostStage::new().redact(redaction);
    for _ in 0..1_000 {
        let (arguments, held) = arguments(&mut rng, &secrets);
        let whole = Whole::of(&run(&stage, [call(0, &arguments), finish()])).calls.remove(0);
        let parsed: serde_json::Value = serde_json::from_str(&whole).expect(&whole);
        assert!(parsed["body"].as_str().expect("a string").starts_with("\"greeting\\"), "{whole}");
        assert_eq!(parsed["more"][1], 1, "{whole}");
        for number in held {
            for part in telling(&secrets[number]) {
                assert!(!whole.contains(part), "{part:?} left: {whole}");
            }
        }
        for _ in 0..5 {
            let pieces = random_pieces(&mut rng, &arguments).into_iter().map(|piece| call(0, piece)).chain([finish()]);
            assert_eq!(Whole::of(&run(&stage, pieces)).calls[0], whole, "the split made a difference in {arguments:?}");
        }
    }
}

#[test]
fn an_escape_is_no_part_of_a_word() {
    let stage = PostStage::new().redact(Redaction::all().pattern("customer", r"(?-u:\b)CUST-[0-9]{6}(?-u:\b)"));
    for (arguments, expected) in [
        (r#"{"body":"Hi,\nbob@example.org"}"#, r#"{"body":"Hi,\n[email]"}"#),
        (r#"{"body":"\nsk-abcdefghijklmnopqrst"}"#, r#"{"body":"\n[secret]"}"#),
        (r#"{"body":"\u00e9CUST-123456\n"}"#, r#"{"body":"\u00e9[customer]\n"}"#),
        (r#"{"body":"on 030\n1234567"}"#, r#"{"body":"on 030\n1234567"}"#),
    ] {
        for pieces in [vec![arguments], arguments.split("").collect()] {
            let events = pieces.into_iter().map(|piece| call(0, piece)).chain([finish()]);
            assert_eq!(Whole::of(&run(&stage, events)).calls, [expected]);
        }
    }
}
