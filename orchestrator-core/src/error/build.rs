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

    /// Returns the stage that it concerns, `None` where it concerns the pipeline, or the shards around it.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.stage.as_deref()
    }

    /// Returns the name of the setting.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Returns what is wrong with it, worded so that it follows the setting's name.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
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

/// A pipeline, or a set of shards, that cannot be built, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildError {
    /// `None` where the fault is in what stands around the pipelines.
    pipeline: Option<String>,
    faults: Vec<Fault>,
}

impl BuildError {
    pub(crate) fn new(pipeline: &str, faults: Vec<Fault>) -> Self {
        Self { pipeline: Some(pipeline.to_owned()), faults }
    }

    /// What is wrong with shards, beside what is wrong with the pipelines that were made for them.
    pub(crate) fn of_shards(mut faults: Vec<Fault>, pipelines: impl IntoIterator<Item = Self>) -> Self {
        let mut pipeline = None;
        for error in pipelines {
            pipeline = pipeline.or(error.pipeline);
            faults.extend(error.faults);
        }
        // Most shards have the same to say.
        let mut said = Vec::new();
        faults.retain(|fault| {
            !said.contains(fault) && {
                said.push(fault.clone());
                true
            }
        });
        Self { pipeline, faults }
    }

    /// Returns every fault, in the order of the stages.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pipeline {
            Some(pipeline) => write!(f, "pipeline `{pipeline}` cannot be built: ")?,
            None => write!(f, "shards cannot be built: ")?,
        }
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}
