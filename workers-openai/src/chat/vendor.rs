//! The caller's fields for one vendor, beside those that have a type.

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::Sampling;
use serde_json::{Map, Value};

/// Fields whose values decide how the answer is read, so that nobody else may set them.
const OURS: &[&str] = &["stream", "stream_options", "messages", "prompt"];

/// The fields of [`Sampling::vendor`] on their way into a request.
///
/// A field that is set by its type already is left out of them, so that nothing is sent twice: the type wins.
#[derive(Debug)]
pub(crate) struct Vendor(Map<String, Value>);

impl Vendor {
    /// # Errors
    ///
    /// `InvalidRequest` where more than one answer is asked for: there is one stream of tokens.
    pub(crate) fn of(sampling: &Sampling) -> Result<Self, WorkerError> {
        for field in ["n", "best_of"] {
            if sampling.vendor.get(field).is_some_and(|count| !count.is_null() && count.as_u64() != Some(1)) {
                let what = format!("`{field}` must be 1: a worker gives one answer");
                return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
            }
        }
        let mut fields = sampling.vendor.clone();
        fields.retain(|name, _| !OURS.contains(&name.as_str()));
        Ok(Self(fields))
    }

    /// Leaves out those that are set otherwise.
    pub(crate) fn without(mut self, set: &[(&str, bool)]) -> Map<String, Value> {
        for (name, _) in set.iter().filter(|(_, is_set)| *is_set) {
            self.0.remove(*name);
        }
        self.0
    }
}
