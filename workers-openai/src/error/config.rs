use std::fmt;

use orchestrator_core::error::InvalidInput;

/// Settings that no client, worker or embedder can be made of, with all their faults.
///
/// Never holds a key or the value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    what: &'static str,
    faults: Vec<InvalidInput>,
}

impl ConfigError {
    /// Makes the error of `what` ("client", "worker") from its faults; for builders that build on this crate's.
    #[must_use]
    pub const fn new(what: &'static str, faults: Vec<InvalidInput>) -> Self {
        Self { what, faults }
    }

    /// Returns every fault, in the order of the settings.
    #[must_use]
    pub fn faults(&self) -> &[InvalidInput] {
        &self.faults
    }

    /// Takes the faults, to report them together with others.
    #[must_use]
    pub fn into_faults(self) -> Vec<InvalidInput> {
        self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be built: ", self.what)?;
        for (i, fault) in self.faults.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
