use crate::context::Context;
use crate::shards::{InUse, SessionKey, states};

/// The state of the request's session cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session's state cannot be used: {}", .0.as_str())]
pub struct SessionStateError(SessionStateErrorKind);

/// Why the state of a session cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStateErrorKind {
    /// The request names no session.
    NoSession,
    /// The caller does not run on the request's own shard, or its [`Shards`](crate::shards::Shards) keep no session state.
    NotOnShard,
    /// A closure that uses the same state is running: this is a call from within it.
    InUse,
}

impl SessionStateErrorKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoSession => "the request names no session",
            Self::NotOnShard => "the caller is not on the request's shard, or that keeps no session state",
            Self::InUse => "it is in use by the caller itself",
        }
    }
}

impl SessionStateError {
    /// Returns why.
    #[must_use]
    pub const fn kind(&self) -> SessionStateErrorKind {
        self.0
    }
}

impl Context {
    /// Calls `with` on what the request's session keeps of type `T`, a default value where there is nothing yet.
    ///
    /// The state lies in the memory of the session's home shard, is used by its thread alone and costs no lock, so it need
    /// not be `Send`. Each type has a state of its own; a session is its tenant's, so that two tenants that use the same
    /// name share nothing. It is lost with the process, and goes when the session is idle: see
    /// [`SessionState`](crate::shards::SessionState). What must outlive that belongs into a store.
    ///
    /// As long as a request of the session is inside, from its submission to its end, the state stays. Use this for what
    /// one session's requests hand on to each other, [`insert`](Self::insert) for what the stages of one request do.
    ///
    /// # Errors
    ///
    /// Fails where the request names no session; where the caller is not on the request's own shard of
    /// [`Shards`](crate::shards::Shards) with session state, so also on another shard, in a job of
    /// [`offload`](Self::offload), and in a stream that is read directly and elsewhere; and within a closure that uses the
    /// same state already.
    ///
    /// # Panics
    ///
    /// A panic of `with` goes on in the caller, where it is one request's error. The state that it had in its hands is
    /// forgotten.
    ///
    /// # Examples
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    ///
    /// #[derive(Default)]
    /// struct Asked(Vec<String>);
    ///
    /// fn number_of(cx: &Context, question: &str) -> Result<usize, BoxError> {
    ///     let number = cx.session_state(|asked: &mut Asked| {
    ///         asked.0.push(question.to_owned());
    ///         asked.0.len()
    ///     })?;
    ///     Ok(number)
    /// }
    ///
    /// // Not on a shard.
    /// let cx = Context::standalone(RequestOptions::new().session("anna"));
    /// assert!(number_of(&cx, "well?").is_err());
    /// ```
    pub fn session_state<T, R>(&self, with: impl FnOnce(&mut T) -> R) -> Result<R, SessionStateError>
    where
        T: Default + 'static,
    {
        use SessionStateErrorKind as Kind;
        let session = SessionKey::of(self.options()).ok_or(SessionStateError(Kind::NoSession))?;
        let states = states(&self.cell().shared).ok_or(SessionStateError(Kind::NotOnShard))?;
        states.lend(&session, with).map_err(|InUse| SessionStateError(Kind::InUse))
    }
}
