use std::time::Duration;

use orchestrator_core::error::InvalidInput;

/// How much a [`SessionMemory`](crate::SessionMemory) keeps, and for how long.
///
/// ```
/// use std::time::Duration;
/// use stages_rag::{MemoryLimits, SessionMemory};
///
/// let limits = MemoryLimits::new().idle(Duration::from_secs(600)).session_bytes(16 * 1024);
/// let memory = SessionMemory::with(limits)?;
/// # Ok::<_, orchestrator_core::error::InvalidInput>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct MemoryLimits {
    pub(super) idle: Duration,
    pub(super) session_bytes: usize,
    pub(super) total_bytes: usize,
}

impl Default for MemoryLimits {
    /// Half an hour, 64 KiB for each session, 64 MiB in all.
    fn default() -> Self {
        Self { idle: Duration::from_secs(30 * 60), session_bytes: 64 << 10, total_bytes: 64 << 20 }
    }
}

impl MemoryLimits {
    /// Half an hour, 64 KiB for each session, 64 MiB in all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets after how long without a request a session is forgotten; above zero.
    pub const fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// Sets how many bytes of turns a session may hold; above zero. Its oldest turns go first.
    pub const fn session_bytes(mut self, bytes: usize) -> Self {
        self.session_bytes = bytes;
        self
    }

    /// Sets how many bytes all sessions together may hold; above zero. The session that was used least recently goes
    /// first.
    pub const fn total_bytes(mut self, bytes: usize) -> Self {
        self.total_bytes = bytes;
        self
    }

    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        let zero = [
            ("idle", self.idle.is_zero()),
            ("session_bytes", self.session_bytes == 0),
            ("total_bytes", self.total_bytes == 0),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((field, _)) => Err(InvalidInput::new(field, "must be above zero")),
            None => Ok(()),
        }
    }
}

/// What a [`SessionMemory`](crate::SessionMemory) holds, and what became of the rest since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Sessions now.
    pub sessions: usize,
    /// Turns now, summaries among them.
    pub turns: usize,
    /// Bytes now, as the limits count them: the texts, 64 for each message, and 256 and its name for each session.
    pub bytes: usize,
    /// Turns that went because their session or all together held too much, one by one or with their session.
    pub turns_dropped: u64,
    /// Sessions that went because all together held too much.
    pub sessions_evicted: u64,
    /// Sessions that went because they were idle.
    pub sessions_expired: u64,
    /// Summaries that took the place of turns.
    pub summaries: u64,
    /// Summaries that were asked for in vain.
    pub summaries_failed: u64,
}
