use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::worker::Timeouts;

/// Class of a request. A queue serves a higher class first, until a lower one has waited for its
/// [`aging`](crate::stage::StageConfig::aging); within a class it serves tenants in turns, and each in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Served when nothing else waits, or nothing has been served of it for long: batch work, pre-computation.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Served first: somebody is looking at the screen.
    High,
}

impl Priority {
    /// All classes, the first served first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The lane of this class: 0 is served first.
    pub(crate) const fn lane(self) -> usize {
        2 - self as usize
    }

    /// Returns `high`, `normal` or `low`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// How a request is to be treated on its way, whatever it asks.
///
/// Every [`Input`](crate::request::Input) can carry its own;
/// [`Pipeline::submit_with`](crate::pipeline::Pipeline::submit_with) sets them from outside.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RequestOptions {
    /// The conversation that the request belongs to.
    pub session: Option<Arc<str>>,
    /// The customer or team on whose account the request runs.
    pub tenant: Option<Arc<str>>,
    /// The class in which it queues.
    pub priority: Priority,
    /// The instant after which nobody wants the answer any more.
    pub deadline: Option<Instant>,
    /// Whether the request is refused rather than have its caller wait at a full door.
    pub admit_now: bool,
    /// How long workers are waited for, in place of their own limits.
    pub timeouts: Option<Arc<Timeouts>>,
    /// Whether the reader understands [`Reset`](crate::token::TokenEvent::Reset): an answer that breaks off may begin anew.
    pub resets: bool,
}

impl RequestOptions {
    /// Makes options without session, tenant or deadline, of normal priority.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the conversation.
    #[must_use]
    pub fn session(mut self, session: impl Into<Arc<str>>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets the class.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the instant after which the request is given up, wherever it is.
    #[must_use]
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Has the request let in at once or refused: `submit` does not wait at a full door.
    ///
    /// What [`try_submit`](crate::pipeline::Pipeline::try_submit) does for a call, for callers that only fill in options.
    #[must_use]
    pub const fn admit_now(mut self) -> Self {
        self.admit_now = true;
        self
    }

    /// Says that the reader understands [`Reset`](crate::token::TokenEvent::Reset), as one does that keeps the answer to itself
    /// until it is whole.
    #[must_use]
    pub const fn resets(mut self) -> Self {
        self.resets = true;
        self
    }

    /// Sets how long workers are waited for, phase by phase, in place of all of their own limits; for each attempt, where there
    /// are several.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(Arc::new(timeouts));
        self
    }

    /// Sets the deadline to `budget` from now.
    #[must_use]
    pub fn within(self, budget: Duration) -> Self {
        match Instant::now().checked_add(budget) {
            Some(deadline) => self.deadline(deadline),
            // Further off than the clock reaches.
            None => self,
        }
    }
}
