use std::borrow::Cow;
use std::fmt;

use crate::error::InvalidInput;

/// One thing that is wrong with a pipeline's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    stage: Option<String>,
    field: &'static str,
    problem: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(stage: Option<&str>, field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { stage: stage.map(str::to_owned), field, problem: problem.into() }
    }

    /// What a stage says of its own settings.
    pub(crate) fn of_stage(stage: &str, invalid: InvalidInput) -> Self {
        let (field, problem) = invalid.into_parts();
        Self::new(Some(stage), field, problem)
    }

    /// Returns the stage that it concerns, `None` where it concerns the pipeline.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.stage.as_deref()
    }

    /// Returns the name of the setting.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = &self.stage {
            write!(f, "stage `{stage}`: ")?;
        }
        write!(f, "`{}` {}", self.field, self.problem)
    }
}

/// A pipeline that cannot be built, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    pipeline: String,
    faults: Vec<Fault>,
}

impl BuildError {
    pub(crate) fn new(pipeline: &str, faults: Vec<Fault>) -> Self {
        Self { pipeline: pipeline.to_owned(), faults }
    }

    /// Returns every fault, in the order of the stages.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pipeline `{}` cannot be built: ", self.pipeline)?;
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}
