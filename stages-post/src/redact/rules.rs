//! What is redacted, and what stands in its place.

use std::fmt;
use std::sync::Arc;

use orchestrator_core::error::InvalidInput;

use crate::redact::escapes::escaped;
use crate::redact::presets;
use crate::scan::{Pattern, Patterns, longest};

/// What [`PostStage::redact`](crate::PostStage::redact) takes out of an answer, and what it puts in its place.
///
/// | method | takes out | named |
/// |---|---|---|
/// | [`secrets`](Self::secrets) | API keys, tokens and private keys | `secret` |
/// | [`emails`](Self::emails) | e-mail addresses | `email` |
/// | [`phones`](Self::phones) | telephone numbers | `phone` |
/// | [`cards`](Self::cards) | card numbers, told by their checksum | `card` |
/// | [`pattern`](Self::pattern) | what a regular expression matches | as you like |
///
/// # What counts as a match
///
/// Every match of every pattern at every position, wherever the text was cut into pieces, also where matches overlap.
/// Overlapping matches are one redaction, under the name of the pattern that was added first among those that match at its very
/// start. Presets come in the order in which they are called.
///
/// A key or token that the answer's end cuts is taken out where at least 6 bytes of what has to follow its beginning are there.
///
/// # What it costs
///
/// A piece of text is held back while a match may be under way in it: with `emails` that is the last word, since every word
/// may be the beginning of an address; without, most text goes on at once. No more than [`window`](Self::window) bytes are ever
/// held, for each kind of text.
///
/// # What it does not find
///
/// What is spelled in another way than the patterns say: a key with a space in it, an address with `(at)`, a character that
/// is written as a JSON escape. In a tool call's arguments an escape itself counts as white space, is never cut, and a
/// replacement is escaped: they stay JSON where the match stood in a string.
///
/// # Examples
///
/// ```
/// use stages_post::{PostStage, Redaction};
///
/// let redaction = Redaction::new().secrets().emails().pattern("customer", "CUST-[0-9]{6}");
/// assert!(redaction.window() < 1024);
/// let post = PostStage::new().redact(redaction);
/// # drop(post);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Redaction {
    rules: Vec<(String, Pattern)>,
    replacement: Arc<dyn Fn(&str) -> String + Send + Sync>,
}

impl Redaction {
    /// Takes out nothing yet, and will write `[name]` in the place of what it takes out.
    pub fn new() -> Self {
        Self { rules: Vec::new(), replacement: Arc::new(|name| format!("[{name}]")) }
    }

    /// Takes out everything that there is a preset for.
    pub fn all() -> Self {
        Self::new().secrets().emails().phones().cards()
    }

    /// Takes out API keys, tokens and private keys.
    ///
    /// OpenAI and Anthropic style (`sk-..`), Stripe (`sk_live_..`), AWS access key ids (`AKIA..`, `ASIA..`), GitHub (`ghp_..`
    /// and its relatives, `github_pat_..`), GitLab (`glpat-..`), Slack (`xoxb-..` and its relatives), Google (`AIza..`), JSON
    /// web tokens, private keys in PEM form, and what follows `Bearer`. A key is taken out as long as its characters go on,
    /// without a limit.
    pub fn secrets(self) -> Self {
        self.presets("secret", presets::secrets())
    }

    /// Takes out e-mail addresses in ASCII.
    pub fn emails(self) -> Self {
        self.presets("email", presets::emails())
    }

    /// Takes out telephone numbers.
    ///
    /// International ones that begin with `+` or `00` (8 to 15 digits), North American ones in groups of 3, 3 and 4 digits
    /// (`(555) 123-4567`, `555-123-4567`), and national ones that begin with a 0 and are written in groups
    /// (`030 1234567`, `01 23 45 67 89`; 9 to 13 digits). Groups are separated by spaces, dots, dashes, slashes or
    /// parentheses. A bare run of digits is not taken for a telephone number.
    pub fn phones(self) -> Self {
        self.presets("phone", presets::phones())
    }

    /// Takes out card numbers: 13 to 19 digits, with single spaces or dashes between them or without, whose checksum (Luhn's)
    /// is right, and which are not part of a longer run of digits.
    ///
    /// One in ten numbers of that length that are no card numbers passes the checksum by chance.
    pub fn cards(self) -> Self {
        self.presets("card", presets::cards())
    }

    /// Takes out what a regular expression matches, in the syntax of the `regex` crate.
    ///
    /// It needs a maximum length, `{1,40}` in place of `+`, and must not match the empty text. Word boundaries are written
    /// `(?-u:\b)`. What cannot be used is reported when the pipeline is built.
    pub fn pattern(mut self, name: impl Into<String>, regex: impl Into<String>) -> Self {
        let name = name.into();
        let pattern = Pattern::new(name.clone(), regex);
        self.rules.push((name, pattern));
        self
    }

    /// Writes what `replacement` makes of a pattern's name in place of what the pattern matches.
    ///
    /// ```
    /// use stages_post::Redaction;
    ///
    /// let silent = Redaction::all().replacement(|_name| String::new());
    /// # drop(silent);
    /// ```
    pub fn replacement(mut self, replacement: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.replacement = Arc::new(replacement);
        self
    }

    /// Returns the most bytes of a text that are held back: the length of the longest match, where a key that goes on
    /// without a limit counts with its beginning.
    #[must_use]
    pub fn window(&self) -> usize {
        longest(self.rules.iter().map(|(_, pattern)| pattern))
    }

    fn presets(mut self, name: &str, patterns: Vec<Pattern>) -> Self {
        self.rules.extend(patterns.into_iter().map(|pattern| (name.to_owned(), pattern)));
        self
    }

    #[cfg(test)]
    pub(super) fn rules(&self) -> &[(String, Pattern)] {
        &self.rules
    }

    /// Compiles the patterns.
    pub(crate) fn compile(&self) -> Result<Rules, InvalidInput> {
        if self.rules.is_empty() {
            return Err(InvalidInput::new("redact", "needs something to look for"));
        }
        let (names, patterns): (Vec<_>, Vec<_>) = self.rules.iter().cloned().unzip();
        let patterns = Patterns::new(&patterns).map_err(|error| InvalidInput::new("redact", error.to_string()))?;
        let replacements =
            names.iter().map(|name| (self.replacement)(name)).map(|text| (escaped(&text), text)).collect();
        Ok(Rules { patterns: Arc::new(patterns), replacements })
    }
}

impl Default for Redaction {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.rules.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Redaction").field("patterns", &names).finish_non_exhaustive()
    }
}

/// Patterns, compiled, with what takes their place.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) patterns: Arc<Patterns>,
    /// As they stand in JSON, and as they are; by the number of the pattern.
    replacements: Vec<(String, String)>,
}

impl Rules {
    /// Returns what takes the place of a match.
    pub(super) fn replacement(&self, number: usize, json: bool) -> &str {
        let (escaped, text) = &self.replacements[number];
        if json { escaped } else { text }
    }
}
