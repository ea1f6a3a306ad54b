//! One thing to look for, and what makes it unusable.

use std::fmt;

use regex_syntax::hir::{Hir, HirKind, Repetition};

/// One thing to look for.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    /// What errors call it.
    pub(crate) name: String,
    /// A regular expression with a maximum length.
    pub(crate) head: String,
    /// What has to follow, and what may.
    pub(crate) tail: Option<Tail>,
    /// Whether a match is one.
    pub(crate) valid: Option<fn(&Candidate<'_>) -> bool>,
}

/// What follows a head. It is looked for from there on only, and so may be long without making the tables large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// What has to follow: a regular expression with a maximum length; nothing, where it is empty.
    pub(crate) need: &'static str,
    /// What belongs to the match as well, as far as it goes; it may be without a limit. Where it is interrupted, as by a dot
    /// that may or may not go on, that has to be shorter than head and need together, since that much is held back.
    pub(crate) rest: &'static str,
}

/// A match in its place: a head with what has to follow.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) text: &'a str,
    /// The byte in front of it.
    pub(crate) before: Option<u8>,
    /// The byte behind it.
    pub(crate) after: Option<u8>,
}

impl Pattern {
    /// A regular expression that stands for itself.
    pub(crate) fn new(name: impl Into<String>, head: impl Into<String>) -> Self {
        Self { name: name.into(), head: head.into(), tail: None, valid: None }
    }

    /// A text that stands for itself.
    pub(crate) fn literal(text: &str) -> Self {
        Self::new(text, regex_syntax::escape(text))
    }

    pub(crate) fn error(&self, problem: Problem) -> PatternError {
        PatternError { pattern: self.name.clone(), problem }
    }

    /// Parses the head; returns it with the most bytes of head and need together.
    pub(crate) fn parse(&self) -> Result<(Hir, usize), PatternError> {
        let head = self.parse_part(&self.head)?;
        let properties = head.properties();
        if properties.look_set().contains_word_unicode() {
            return Err(self.error(Problem::UnicodeWord));
        }
        match (properties.minimum_len(), properties.maximum_len()) {
            (None, _) => Err(self.error(Problem::Nothing)),
            (Some(0), _) => Err(self.error(Problem::Empty)),
            (_, None) => Err(self.error(Problem::Unbounded)),
            (_, Some(longest)) => Ok((head, longest + self.need()?)),
        }
    }

    /// Parses the tail.
    pub(crate) fn parse_tail(&self) -> Result<Option<Hir>, PatternError> {
        self.tail.map(|Tail { need, rest }| self.parse_part(&format!("(?:{need})(?:{rest})"))).transpose()
    }

    /// Returns the most bytes that have to follow the head.
    fn need(&self) -> Result<usize, PatternError> {
        let Some(tail) = self.tail else { return Ok(0) };
        let need = self.parse_part(tail.need)?;
        need.properties().maximum_len().ok_or_else(|| self.error(Problem::Unbounded))
    }

    fn parse_part(&self, part: &str) -> Result<Hir, PatternError> {
        regex_syntax::parse(part).map_err(|error| self.error(Problem::Syntax(error.to_string())))
    }
}

/// Returns the length of the longest match that a filter must be able to hold back; unusable patterns count nothing.
pub(crate) fn longest<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> usize {
    patterns.into_iter().filter_map(|pattern| pattern.parse().ok()).map(|(_, longest)| longest).max().unwrap_or(0)
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}` {problem}")]
pub(crate) struct PatternError {
    pattern: String,
    problem: Problem,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    Syntax(String),
    Nothing,
    Empty,
    Unbounded,
    UnicodeWord,
    TooComplex,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "is not a regular expression: {error}"),
            Self::Nothing => f.write_str("can match no text"),
            Self::Empty => f.write_str("must not match the empty text"),
            Self::Unbounded => f.write_str("has no maximum length: write `{1,40}` in place of `+` and `{0,40}` of `*`"),
            Self::UnicodeWord => f.write_str(r"uses a Unicode word boundary: write `(?-u:\b)` in place of `\b`"),
            Self::TooComplex => f.write_str("needs too large an automaton: use fewer or lower counts"),
        }
    }
}

/// Counts above this are not counted by the automaton that looks for candidates.
const COUNTED: u32 = 2;

/// Makes an expression that matches at least what `hir` does, and counts less.
///
/// An automaton that looks for `sk-[a-z-]{20,200}` at every position would have to remember every `sk-` in the last 200
/// bytes, of which there are more combinations than atoms. That a candidate has the right length is seen when its start is
/// looked for, which begins at one position only.
pub(crate) fn relax(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
        HirKind::Capture(capture) => relax(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(relax).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(relax).collect()),
        HirKind::Repetition(repetition) => {
            let Repetition { min, max, greedy, ref sub } = *repetition;
            let few = max.is_some_and(|max| max <= COUNTED || (max == min && max <= 4));
            let (min, max) = if few { (min, max) } else { (min.min(COUNTED), None) };
            Hir::repetition(Repetition { min, max, greedy, sub: Box::new(relax(sub)) })
        }
    }
}
