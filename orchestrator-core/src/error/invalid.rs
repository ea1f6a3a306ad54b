use std::borrow::Cow;

/// An input, or a setting, that cannot be used; names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidInput {
    field: &'static str,
    problem: Cow<'static, str>,
}

impl InvalidInput {
    /// Says that `field` has a `problem`, worded so that it follows the field's name: "must not be empty".
    pub fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field, problem: problem.into() }
    }

    pub(crate) fn into_parts(self) -> (&'static str, Cow<'static, str>) {
        (self.field, self.problem)
    }

    /// Returns the name of the field.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Returns what is wrong with it, worded so that it follows the field's name.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}
