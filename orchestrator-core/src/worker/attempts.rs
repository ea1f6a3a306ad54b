use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{WorkerError, WorkerErrorKind};
use crate::runtime::cell::lock;

/// A call of a worker that failed while a request was being answered.
///
/// Shows as `mac failed after 1.2 s: 503 from the server`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The worker's name.
    pub worker: String,
    /// The ids of the members of pools as which it was called, the innermost first. They are given once in a process, while
    /// members of pools in pools may have the same names.
    pub members: Vec<u64>,
    /// Its model, where it is known.
    pub model: Option<String>,
    /// What kind of failure it was.
    pub kind: WorkerErrorKind,
    /// What the worker said.
    pub message: String,
    /// The pause that the worker asked for.
    pub retry_after: Option<Duration>,
    /// When the call began.
    pub at: Instant,
    /// From the call to the failure.
    pub took: Duration,
    /// Whether some of the answer had come.
    pub begun: bool,
    /// Whether it was a call to go on with an answer that another one had begun.
    pub goes_on: bool,
    /// Whether somebody else could be asked at once, or, where this worker is not asked again itself, when it has room.
    pub elsewhere: bool,
    /// Whether somebody who could have asked again has decided not to.
    pub given_up: bool,
}

impl Attempt {
    /// Notes a failure of a worker just now, `took` after the call and before its first event, with nobody else to ask.
    #[must_use]
    pub fn new(worker: impl Into<String>, model: Option<String>, error: &WorkerError, took: Duration) -> Self {
        let now = Instant::now();
        Self {
            worker: worker.into(),
            members: Vec::new(),
            model,
            kind: error.kind(),
            message: error.message().to_owned(),
            retry_after: error.retry_after(),
            at: now.checked_sub(took).unwrap_or(now),
            took,
            begun: false,
            goes_on: false,
            elsewhere: false,
            given_up: false,
        }
    }

    /// Says whether some of the answer had come.
    #[must_use]
    pub const fn begun(mut self, begun: bool) -> Self {
        self.begun = begun;
        self
    }

    /// Says whether somebody else could be asked at once.
    #[must_use]
    pub const fn elsewhere(mut self, elsewhere: bool) -> Self {
        self.elsewhere = elsewhere;
        self
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed after {:.3?}: {}", self.worker, self.took, self.message)
    }
}

/// What failed so far for one [`InferenceRequest`](crate::worker::InferenceRequest); its clones share it.
///
/// So that workers around workers know of each other's attempts: a pool does not ask a member again that has just failed, and a
/// retry counts what others have tried.
#[derive(Clone, Default)]
pub struct Attempts(Arc<Mutex<Vec<Attempt>>>);

impl Attempts {
    /// Adds one.
    pub fn push(&self, attempt: Attempt) {
        lock(&self.0).push(attempt);
    }

    /// Adds to what those behind the first `known` ones say: for workers around workers that know more of them.
    pub fn amend(&self, known: usize, amend: impl FnMut(&mut Attempt)) {
        lock(&self.0).iter_mut().skip(known).for_each(amend);
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Returns whether nothing has failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the last one.
    #[must_use]
    pub fn last(&self) -> Option<Attempt> {
        lock(&self.0).last().cloned()
    }

    /// Returns all of them, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Attempt> {
        lock(&self.0).clone()
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(lock(&self.0).iter()).finish()
    }
}
