//! The patterns that need not be written down again.

use crate::redact::digits;
use crate::scan::{Candidate, Pattern, Tail};

/// A text that begins with `head` and has `need` behind it; `rest` takes what else belongs to it, however long that is.
fn key(name: &str, head: &str, need: &'static str, rest: &'static str) -> Pattern {
    Pattern { tail: Some(Tail { need, rest }), ..Pattern::new(name, head) }
}

pub(super) fn secrets() -> Vec<Pattern> {
    vec![
        Pattern { valid: Some(begins_a_word), ..key("sk", "sk-", "[A-Za-z0-9_-]{16}", "[A-Za-z0-9_-]*") },
        key("Stripe", "[rs]k_(?:live|test)_", "[A-Za-z0-9]{16}", "[A-Za-z0-9]*"),
        key("AWS", "(?:AKIA|ASIA)", "[A-Z0-9]{16}", ""),
        key("GitHub", "gh[opusr]_", "[A-Za-z0-9]{36}", "[A-Za-z0-9]*"),
        key("GitHub fine-grained", "github_pat_", "[A-Za-z0-9_]{22}", "[A-Za-z0-9_]*"),
        key("GitLab", "glpat-", "[A-Za-z0-9_-]{20}", "[A-Za-z0-9_-]*"),
        key("Slack", "xox[abeoprs]-", "[A-Za-z0-9-]{10}", "[A-Za-z0-9-]*"),
        key("Google", "AIza", "[A-Za-z0-9_-]{35}", "[A-Za-z0-9_-]*"),
        // The beginning of `{"alg"`, `{"typ"` and so on in base64: with it the header may be of any length.
        key("JWT", "eyJ(?:hbGci|0eXAi|raWQi|jdHki|lbmMi|qa3Ui|4NXQi|4NWMi|4NXUi|jcml0|6aXAi)", "", JWT_REST),
        key("JWT of another header", "eyJ", r"[A-Za-z0-9_-]{8,256}\.eyJ[A-Za-z0-9_-]{8}", JWT_REST),
        key("PEM", "-----BEGIN ", "[A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----", PEM_REST),
        Pattern {
            valid: Some(looks_random),
            ..key("Bearer", "(?i-u:bearer) ", "[A-Za-z0-9._~+/-]{16}", "[A-Za-z0-9._~+/-]*=*")
        },
    ]
}

const JWT_REST: &str = r"[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*";

/// Base64 in lines, whose breaks are `\n` in JSON strings; the headers of encrypted keys; the last line, if there is one.
const PEM_REST: &str = concat!(
    r"(?:[A-Za-z0-9+/=\\ \t\r\n]|(?:Proc-Type|DEK-Info|Version|Comment):[ A-Za-z0-9,.-]*)*",
    "(?:-----END [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----)?"
);

/// Whether it does not go on behind a word, as in `task-oriented-programming`, or cannot be a word.
fn begins_a_word(candidate: &Candidate<'_>) -> bool {
    let any = |is: fn(&u8) -> bool| candidate.text.as_bytes()[3..].iter().any(is);
    let mixed = any(u8::is_ascii_digit) && any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    // Behind an `n` that is a line break in JSON, for instance.
    let unbroken = any(u8::is_ascii_digit) && !any(|b| matches!(b, b'-' | b'_'));
    mixed || unbroken || !candidate.before.is_some_and(|b| b.is_ascii_alphanumeric())
}

/// Whether it is more than a word of 16 letters in lower case.
fn looks_random(candidate: &Candidate<'_>) -> bool {
    let goes_on = candidate.after.is_some_and(|b| b.is_ascii_alphanumeric() || b"._~+/-".contains(&b));
    goes_on || candidate.text.as_bytes()["bearer ".len() + 1..].iter().any(|b| !b.is_ascii_lowercase())
}

pub(super) fn emails() -> Vec<Pattern> {
    // Behind the first dot up to three labels of one letter, as in `is.s.example.org`. Lengths by RFC 5321, 4.5.3.1, and RFC
    // 1035, 2.3.4.
    let address = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}\.(?:[A-Za-z0-9-]\.){0,3}[A-Za-z0-9-]{2}";
    vec![key("email", address, "", r"[A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*")]
}

pub(super) fn phones() -> Vec<Pattern> {
    let number = |name: &str, head: &str, valid| Pattern { valid: Some(valid), ..Pattern::new(name, head) };
    vec![
        number("phone", r"(?:\+|00)[1-9](?:[ ./()-]{0,2}[0-9]){7,14}", digits::international),
        number("phone", r"\(?[0-9]{3}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}", digits::north_american),
        number("phone", r"\(?0[1-9][0-9]{0,4}\)?(?:[ ./-]{1,3}[0-9]{2,8}){1,5}", digits::national),
    ]
}

pub(super) fn cards() -> Vec<Pattern> {
    vec![Pattern { valid: Some(digits::card), ..Pattern::new("card", "[0-9](?:[ -]?[0-9]){12,18}") }]
}
