use std::fmt;

/// How a worker did; shows as a table.
#[derive(Debug, Clone)]
#[must_use = "a report says nothing unless it is asserted or shown"]
pub struct ConformanceReport {
    worker: String,
    findings: Vec<Finding>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The worker does what it owes.
    Passed,
    /// It does not; what it does instead.
    Failed(String),
    /// The check could not be made; why.
    LeftOut(String),
}

/// What a check returns: an `Err` is a verdict other than `Passed`.
pub(super) type Judged = Result<(), Verdict>;

impl ConformanceReport {
    pub(super) const fn new(worker: String, findings: Vec<Finding>) -> Self {
        Self { worker, findings }
    }

    /// Returns what the checks found, in their order.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the names of the checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&str> {
        let failed = |finding: &&Finding| matches!(finding.verdict, Verdict::Failed(_));
        self.findings.iter().filter(failed).map(|finding| finding.check.as_str()).collect()
    }

    /// Asserts that no check failed.
    ///
    /// # Panics
    ///
    /// Panics with the whole table when one did.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.failed().is_empty(), "{self}");
    }
}

/// One line for each check.
impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "conformance of `{}`: {} of {} checks failed",
            self.worker,
            self.failed().len(),
            self.findings.len()
        )?;
        for Finding { check, verdict } in &self.findings {
            writeln!(f, "  {verdict:<8} {check}{}", verdict.reason())?;
        }
        Ok(())
    }
}

impl Verdict {
    pub(super) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }

    pub(super) fn left_out(reason: impl Into<String>) -> Self {
        Self::LeftOut(reason.into())
    }

    fn reason(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Failed(reason) | Self::LeftOut(reason) => format!(": {reason}"),
        }
    }
}

impl From<Judged> for Verdict {
    fn from(judged: Judged) -> Self {
        judged.err().unwrap_or(Self::Passed)
    }
}

/// One word.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::LeftOut(_) => "left out",
        })
    }
}
