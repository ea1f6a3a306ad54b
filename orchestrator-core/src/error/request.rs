use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{BoxError, InvalidInput, WorkerError, WorkerErrorKind};

/// Why the door refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseReason {
    /// The input is not usable; [`Error::field`] names the field.
    Invalid,
    /// The first queue is full.
    QueueFull,
    /// The deadline had passed before there was room, or would pass before the answer could be there.
    Deadline,
    /// The pipeline takes nothing more: it drains, or the runtime that ran it is gone.
    Draining,
    /// It would not get a slot in time: too much is ahead of it.
    Overloaded,
    /// None of the server's slots is usable now.
    Unavailable,
    /// Its tenant has used up what it may ask for.
    RateLimited,
}

impl RefuseReason {
    /// All reasons, in the order in which the statistics list them.
    pub const ALL: [Self; 7] = [
        Self::Invalid,
        Self::QueueFull,
        Self::Deadline,
        Self::Draining,
        Self::Overloaded,
        Self::Unavailable,
        Self::RateLimited,
    ];

    /// Returns a short name, as it stands in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// Why a request that had been accepted was dropped from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShedReason {
    /// The next queue was full and its policy rejects newcomers.
    QueueFull,
    /// A newer request took its place.
    Evicted,
    /// Its deadline passed while it was queued, or could not be met any more.
    Deadline,
    /// It had waited for the queue's [`max_wait`](crate::stage::StageConfig::max_wait).
    Waited,
    /// The queue did not get shorter, and it had waited longer than [`CoDel`](crate::stage::CoDel)'s target.
    CoDel,
}

impl ShedReason {
    /// All reasons, in the order in which the statistics list them.
    pub const ALL: [Self; 5] = [Self::QueueFull, Self::Evicted, Self::Deadline, Self::Waited, Self::CoDel];

    /// Returns a short name, as it stands in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Evicted => "evicted",
            Self::Deadline => "deadline",
            Self::Waited => "waited",
            Self::CoDel => "codel",
        }
    }
}

/// How a request ended that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not admitted; nothing was spent on it.
    Refused(RefuseReason),
    /// Admitted, then dropped from a queue.
    Shed(ShedReason),
    /// The deadline passed while a stage ran or tokens flowed.
    Deadline,
    /// The stage took longer than its time limit.
    Timeout,
    /// The worker failed.
    Worker(WorkerErrorKind),
    /// The stage returned an error of its own.
    Stage,
    /// The stage, the worker or an offloaded job panicked.
    Panicked,
    /// The reader left its full buffer untouched for too long.
    ReaderStalled,
    /// Cancelled: by its caller, by a drain that ran out of time, or because the runtime stopped.
    Cancelled,
}

/// How a request ended that was not answered.
///
/// Cheap to clone. Messages follow "failed to ..".
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    stage: Option<Arc<str>>,
    detail: Detail,
}

enum Detail {
    None,
    Panic(String),
    Invalid(InvalidInput),
    Worker(WorkerError),
    Stage(BoxError),
    /// What the door knows of the time to come.
    Forecast {
        wait: Option<Duration>,
        retry_after: Option<Duration>,
    },
}

impl Error {
    fn make(kind: ErrorKind, stage: Option<Arc<str>>, detail: Detail) -> Self {
        Self(Arc::new(Inner { kind, stage, detail }))
    }

    pub(crate) fn refused(reason: RefuseReason) -> Self {
        Self::make(ErrorKind::Refused(reason), None, Detail::None)
    }

    /// A refusal with the wait that was predicted, and the pause after which another try makes sense.
    pub(crate) fn forecast(reason: RefuseReason, wait: Option<Duration>, retry_after: Option<Duration>) -> Self {
        Self::make(ErrorKind::Refused(reason), None, Detail::Forecast { wait, retry_after })
    }

    pub(crate) fn invalid(invalid: InvalidInput) -> Self {
        Self::make(ErrorKind::Refused(RefuseReason::Invalid), None, Detail::Invalid(invalid))
    }

    /// A deadline that had passed before the request came.
    pub(crate) fn late(deadline: InvalidInput) -> Self {
        Self::make(ErrorKind::Refused(RefuseReason::Deadline), None, Detail::Invalid(deadline))
    }

    pub(crate) fn shed(stage: Arc<str>, reason: ShedReason) -> Self {
        Self::make(ErrorKind::Shed(reason), Some(stage), Detail::None)
    }

    /// An error of `kind` that needs no more words.
    pub(crate) fn plain(kind: ErrorKind, stage: Option<Arc<str>>) -> Self {
        Self::make(kind, stage, Detail::None)
    }

    pub(crate) fn panicked(stage: Arc<str>, payload: &(dyn std::any::Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::make(ErrorKind::Panicked, Some(stage), Detail::Panic(message))
    }

    pub(crate) fn worker(stage: Arc<str>, error: WorkerError) -> Self {
        Self::make(ErrorKind::Worker(error.kind()), Some(stage), Detail::Worker(error))
    }

    /// Classifies what a stage returned: a worker's error keeps its kind, also behind a pipeline inside the stage.
    ///
    /// How else an inner pipeline ended its request says nothing of how this one ends it, and stays a source.
    pub(crate) fn from_stage(stage: &Arc<str>, error: BoxError) -> Self {
        if let Some(inner) = error.downcast_ref::<Self>().and_then(Self::worker_error) {
            return Self::worker(stage.clone(), inner.clone());
        }
        match error.downcast::<WorkerError>() {
            Ok(worker) => Self::worker(stage.clone(), *worker),
            Err(other) => Self::make(ErrorKind::Stage, Some(stage.clone()), Detail::Stage(other)),
        }
    }

    /// Returns how the request ended.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the stage in which it ended, `None` at the door.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// Returns the field of the input that was wrong, whether the door or a stage found it.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match &self.0.detail {
            Detail::Invalid(invalid) => Some(invalid.field()),
            Detail::Stage(error) => error.downcast_ref::<InvalidInput>().map(InvalidInput::field),
            _ => None,
        }
    }

    /// Returns what the worker reported, where a worker failed.
    #[must_use]
    pub fn worker_error(&self) -> Option<&WorkerError> {
        match &self.0.detail {
            Detail::Worker(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the request was not admitted.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Refused(_))
    }

    /// Returns whether the request was dropped from a queue.
    #[must_use]
    pub fn is_shed(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Shed(_))
    }

    /// Returns whether the request was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }

    /// Returns whether a deadline or a time limit passed, wherever the request was.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        use ErrorKind as K;
        matches!(
            self.0.kind,
            K::Deadline
                | K::Timeout
                | K::Refused(RefuseReason::Deadline)
                | K::Shed(ShedReason::Deadline)
                | K::Worker(WorkerErrorKind::Timeout(_))
        )
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use ErrorKind as K;
        match self.0.kind {
            K::Refused(reason) => !matches!(reason, RefuseReason::Invalid | RefuseReason::Deadline),
            K::Shed(reason) => !matches!(reason, ShedReason::Deadline),
            K::Timeout => true,
            K::Worker(_) => self.worker_error().is_some_and(WorkerError::is_transient),
            _ => false,
        }
    }

    /// Returns the pause to make before another try, where one is known: to a door that predicts, to a tenant's limit, or to
    /// what the server said.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.0.detail {
            Detail::Forecast { retry_after, .. } => *retry_after,
            Detail::Worker(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Returns how long the request would have waited for a slot, where the door refused it for that.
    #[must_use]
    pub fn predicted_wait(&self) -> Option<Duration> {
        match &self.0.detail {
            Detail::Forecast { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("stage", &self.0.stage);
        match &self.0.detail {
            Detail::None => {}
            Detail::Panic(message) => {
                out.field("panic", message);
            }
            Detail::Invalid(invalid) => {
                out.field("invalid", invalid);
            }
            Detail::Worker(error) => {
                out.field("worker", error);
            }
            Detail::Stage(error) => {
                out.field("error", error);
            }
            Detail::Forecast { wait, retry_after } => {
                out.field("predicted_wait", wait).field("retry_after", retry_after);
            }
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ErrorKind as K;
        if let Some(stage) = &self.0.stage {
            write!(f, "stage `{stage}`: ")?;
        }
        match self.0.kind {
            K::Refused(RefuseReason::Invalid) => f.write_str("the input is not valid"),
            K::Refused(RefuseReason::QueueFull) => f.write_str("refused: the first queue is full"),
            K::Refused(RefuseReason::Deadline) => f.write_str("refused: the deadline cannot be met"),
            K::Refused(RefuseReason::Draining) => f.write_str("refused: the pipeline takes nothing more"),
            K::Refused(RefuseReason::Overloaded) => f.write_str("refused: it would not get a slot in time"),
            K::Refused(RefuseReason::Unavailable) => f.write_str("refused: the server takes nothing now"),
            K::Refused(RefuseReason::RateLimited) => f.write_str("refused: the tenant's limit is used up"),
            K::Shed(ShedReason::QueueFull) => f.write_str("shed: the queue is full"),
            K::Shed(ShedReason::Evicted) => f.write_str("shed: a newer request took its place"),
            K::Shed(ShedReason::Deadline) => f.write_str("shed: the deadline cannot be met"),
            K::Shed(ShedReason::Waited) => f.write_str("shed: it waited too long in the queue"),
            K::Shed(ShedReason::CoDel) => f.write_str("shed: the queue stood for too long"),
            K::Deadline => f.write_str("the deadline passed"),
            K::Timeout => f.write_str("the stage took longer than its time limit"),
            K::Worker(_) => f.write_str("the worker did not answer"),
            K::Stage => f.write_str("the stage returned an error"),
            K::ReaderStalled => f.write_str("the reader left its buffer untouched for too long"),
            K::Cancelled => f.write_str("cancelled"),
            K::Panicked => match &self.0.detail {
                Detail::Panic(message) => write!(f, "panicked: {message}"),
                _ => f.write_str("panicked"),
            },
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.detail {
            Detail::Invalid(invalid) => Some(invalid),
            Detail::Worker(error) => Some(error),
            Detail::Stage(error) => Some(error.as_ref()),
            Detail::None | Detail::Panic(_) | Detail::Forecast { .. } => None,
        }
    }
}
