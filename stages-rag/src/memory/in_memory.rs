use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::worker::ModelWorker;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::memory::state::State;
use crate::memory::summary::Summaries;
use crate::memory::{MemoryLimits, MemoryStats, SessionKey, SessionStore, Turn};

/// Idle sessions that are forgotten under one hold of the lock.
const BATCH: usize = 256;

/// The task that forgets idle sessions looks at most this often.
const LOOKS: Duration = Duration::from_secs(1);

/// Keeps the turns of sessions in this process, within [`MemoryLimits`].
///
/// A clone is another handle to the same sessions. Give one to [`AssembleStage::memory`](crate::AssembleStage::memory),
/// which reads it, and one to [`RememberStage`](crate::RememberStage), which fills it.
///
/// - A session is its tenant's: the same name under two tenants is two sessions.
/// - One that had no request for the idle time is forgotten within a second after it, traffic or none: a task that is
///   there as long as there are sessions looks after them, and ends with the last handle.
/// - Where a session holds too much its oldest turns go, unless [`summarised_by`](Self::summarised_by) condenses them
///   first; where all together do, the session that was used least recently goes. A turn that is too long by itself
///   empties its session, as a conversation with a hole would mislead the model.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::testing::{MockWorker, Script};
/// use stages_rag::{AssembleStage, RememberStage, SessionMemory};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let memory = SessionMemory::default();
/// // Answers with the number of messages that it was given.
/// let worker = MockWorker::with(|request| Script::answering(&request.messages.len().to_string()));
/// let pipeline = Pipeline::builder("chat")
///     .stage(AssembleStage::default().memory(memory.clone()))
///     .stage(InferenceStage::new(worker))
///     .stage(RememberStage::new(memory))
///     .stage(StreamStage::default())
///     .build()?;
///
/// let ask = |question: &str| PromptRequest::new(question).session("anna");
/// assert_eq!(pipeline.submit(ask("Who are you?")).await?.text().await?, "2");
/// assert_eq!(pipeline.submit(ask("And I?")).await?.text().await?, "4");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct SessionMemory(Arc<Inner>);

pub(super) struct Inner {
    state: Mutex<State>,
    sweeper: Mutex<Option<AbortOnDropHandle<()>>>,
    summaries: Option<Summaries>,
}

impl Default for Inner {
    fn default() -> Self {
        Self::new(MemoryLimits::default())
    }
}

impl Inner {
    fn new(limits: MemoryLimits) -> Self {
        Self { state: Mutex::new(State::new(limits)), sweeper: Mutex::default(), summaries: None }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of a user's runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionMemory {
    /// Makes a memory with other limits than the [default](MemoryLimits::default).
    ///
    /// # Errors
    ///
    /// Names a limit that is zero.
    pub fn with(limits: MemoryLimits) -> Result<Self, InvalidInput> {
        limits.check()?;
        Ok(Self(Arc::new(Inner::new(limits))))
    }

    /// Makes a memory that has the oldest turns of a long session condensed by a model instead of dropping them.
    ///
    /// Once a session holds more than three quarters of its bytes, the worker is asked to condense its older turns, so
    /// that half of that is left. When the summary comes, it takes their place as one turn: a question for it, and the
    /// summary as the answer, because many chat templates take neither a second system message nor two messages of one
    /// side in a row. Until then they stay.
    ///
    /// That runs behind the requests, in tasks that end with the memory: at most one summary for each session and two in
    /// all, with 64 more waiting, each with a time limit of two minutes, at low priority and within the worker's
    /// [`Slots`](orchestrator_core::worker::Slots). Where it fails, [`MemoryStats::summaries_failed`] counts it and the
    /// turns stay until the session is full, when they go as they would without it.
    ///
    /// ```
    /// use orchestrator_core::testing::{MockWorker, Script};
    /// use stages_rag::{MemoryLimits, SessionMemory};
    ///
    /// let small_model = MockWorker::new(Script::answering("They spoke about queues."));
    /// let memory = SessionMemory::summarised_by(small_model, MemoryLimits::new())?;
    /// # Ok::<_, orchestrator_core::error::InvalidInput>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Names a limit that is zero.
    pub fn summarised_by(worker: impl ModelWorker, limits: MemoryLimits) -> Result<Self, InvalidInput> {
        limits.check()?;
        let summaries = Some(Summaries::new(worker, limits.session_bytes / 4));
        Ok(Self(Arc::new(Inner { summaries, ..Inner::new(limits) })))
    }

    /// Forgets a session at once; does nothing where there is none.
    pub fn forget(&self, session: &SessionKey) {
        self.0.state().forget(session);
    }

    /// Returns what it holds, and what became of the rest.
    #[must_use]
    pub fn stats(&self) -> MemoryStats {
        self.0.state().stats
    }

    /// Sees to it that a task forgets idle sessions as long as there are any.
    fn keep_swept(&self) {
        let mut sweeper = self.0.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        // A task that is finished although it should not be has gone with its runtime.
        let gone = sweeper.as_ref().is_none_or(AbortOnDropHandle::is_finished);
        let swept = std::mem::replace(&mut self.0.state().swept, true);
        if gone || !swept {
            *sweeper = Some(AbortOnDropHandle::new(tokio::spawn(sweep(Arc::downgrade(&self.0)))));
        }
    }
}

/// Forgets idle sessions until there is none left, or no memory.
async fn sweep(memory: Weak<Inner>) {
    loop {
        let Some(inner) = memory.upgrade() else { return };
        let now = Instant::now();
        let next = {
            let mut state = inner.state();
            let next = state.sweep(now, BATCH);
            state.swept = next.is_some();
            next
        };
        drop(inner);
        match next {
            // There may be more of them.
            Some(next) if next <= now => tokio::task::yield_now().await,
            Some(next) => tokio::time::sleep_until(next.max(now + LOOKS)).await,
            None => return,
        }
    }
}

#[async_trait]
impl SessionStore for SessionMemory {
    async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
        Ok(self.0.state().turns(session, Instant::now()))
    }

    /// Adds a turn behind those of its session.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError> {
        self.0.state().append(session, turn, Instant::now());
        self.keep_swept();
        if let Some(summaries) = &self.0.summaries {
            let oldest = self.0.state().start_condensing(session);
            if let Some(oldest) = oldest {
                summaries.start(&self.0, session.clone(), &oldest);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SessionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMemory").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
