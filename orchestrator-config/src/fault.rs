use std::fmt;

use crate::path::Path;

/// Where a fault is to be mended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// In the file: line and column, from 1, the column in characters.
    File {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In a variable of the environment that goes before the file.
    Variable(String),
    /// In the configuration, which has no file.
    Code,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: Place,
    path: String,
    problem: String,
    expected: Option<String>,
}

impl Fault {
    pub(crate) fn new(place: Place, path: &Path, problem: String, expected: Option<String>) -> Self {
        Self { place, path: path.to_string(), problem, expected }
    }

    /// Returns where it is to be mended.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the setting, such as `models[0].name`; empty for the configuration as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what is wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns what would be right, where that can be said.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }
}

/// Shows as `limits.grace: `10` is not a length of time; expected a number and its unit, such as 10s`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        match &self.expected {
            Some(expected) => write!(f, "; expected {expected}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of its file; what variables are to blame for comes last.
///
/// Shows one fault per line, with its file, line and column in front. No value of a secret or of a variable is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: String,
    faults: Vec<Fault>,
}

impl Faults {
    /// Puts faults in order; several at one setting are one, the first.
    pub(crate) fn new(file: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| (&a.place, &a.path).cmp(&(&b.place, &b.path)));
        faults.dedup_by(|later, first| later.place == first.place && later.path == first.path);
        Self { file: file.to_owned(), faults }
    }

    /// Returns them; there is at least one.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match &fault.place {
                Place::File { line, column } => write!(f, "{}:{line}:{column}: {fault}", self.file)?,
                Place::Variable(name) => write!(f, "{name}: {fault}")?,
                Place::Code => write!(f, "{fault}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A fault of which the setting is known, and not yet where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) path: Path,
    pub(crate) problem: String,
    pub(crate) expected: Option<String>,
}

impl Problem {
    pub(crate) fn new(path: Path, problem: impl Into<String>) -> Self {
        Self { path, problem: problem.into(), expected: None }
    }

    pub(crate) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    pub(crate) fn at(self, place: Place) -> Fault {
        Fault::new(place, &self.path, self.problem, self.expected)
    }
}
