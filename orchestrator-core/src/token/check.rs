use std::borrow::Cow;
use std::fmt;

/// What one check of a whole answer found; part of the terminal event.
///
/// ```
/// use orchestrator_core::token::{Check, Fault, Verdict};
///
/// let check = Check::new("json-schema", Verdict::Failed(vec![Fault::new("/age", "is not a number")]));
/// assert!(!check.verdict.is_passed());
/// assert_eq!(check.to_string(), "json-schema: failed: /age is not a number");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The check's name.
    pub name: Cow<'static, str>,
    /// What it found.
    pub verdict: Verdict,
}

impl Check {
    /// Puts a verdict under a check's name.
    pub fn new(name: impl Into<Cow<'static, str>>, verdict: Verdict) -> Self {
        Self { name: name.into(), verdict }
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The answer is as it should be.
    Passed,
    /// The answer was delivered, and is not as it should be.
    Failed(Vec<Fault>),
    /// The answer was withheld; the reason.
    Refused(String),
    /// Another text was delivered in place of the answer.
    Replaced,
    /// The check did not run; the reason.
    Skipped(String),
}

impl Verdict {
    /// Returns whether the answer is as it should be.
    #[must_use]
    pub const fn is_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }
}

/// One thing that is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where: a JSON pointer into the answer; empty for the answer as a whole.
    pub path: String,
    /// What, as a fragment that fits behind the path.
    pub message: String,
}

impl Fault {
    /// Names a place and what is wrong there.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Shows as `/age is not a number`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{} ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(faults) => {
                f.write_str("failed")?;
                for (number, fault) in faults.iter().enumerate() {
                    write!(f, "{} {fault}", if number == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Replaced => f.write_str("replaced"),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

/// Shows as `json-schema: passed`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.verdict)
    }
}
