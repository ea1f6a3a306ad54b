use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::context::Context;
use orchestrator_core::error::BoxError;
use orchestrator_core::request::Message;

/// Whose conversation it is: a session of a tenant.
///
/// Two tenants that use the same name for a session never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    tenant: Option<Arc<str>>,
    session: Arc<str>,
}

impl SessionKey {
    /// Names a session; `None` where requests name no tenant.
    pub fn new(tenant: Option<Arc<str>>, session: impl Into<Arc<str>>) -> Self {
        Self { tenant, session: session.into() }
    }

    /// The session that a request belongs to, where it names one.
    pub(crate) fn of(cx: &Context) -> Option<Self> {
        let options = cx.options();
        options.session.clone().map(|session| Self { tenant: options.tenant.clone(), session })
    }

    /// Returns the tenant, where requests name one.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the session.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }
}

/// What was asked and what was answered, as it is put in front of a later question.
///
/// A clone costs one reference count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn(Arc<[Message]>);

impl Turn {
    /// Makes a turn of its messages, in order: the question first, the answer last.
    pub fn new(messages: impl Into<Arc<[Message]>>) -> Self {
        Self(messages.into())
    }

    /// Returns the messages in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.0
    }
}

/// Where the turns of sessions are kept: [`SessionMemory`](crate::SessionMemory), or a database of one's own.
///
/// # What a store owes
///
/// - Turns come back whole and in the order in which they were added.
/// - An unknown session has no turns; that is not an error.
/// - What it does not want to keep any longer it drops at the front: a session never has a hole.
///
/// # What becomes of its failures
///
/// A request is worth more than its memory. Where reading fails, the request goes on without the earlier turns; where
/// adding fails, the turn is not remembered; the report says so either way. So it is with a call that takes longer than
/// two seconds. A panic fails the request.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{SessionKey, SessionStore, Turn};
///
/// #[derive(Default)]
/// struct Forever(Mutex<HashMap<SessionKey, Vec<Turn>>>);
///
/// #[async_trait]
/// impl SessionStore for Forever {
///     async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
///         let turns = self.0.lock().map_err(|_| "poisoned")?;
///         Ok(turns.get(session).cloned().unwrap_or_default())
///     }
///
///     async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError> {
///         let mut turns = self.0.lock().map_err(|_| "poisoned")?;
///         turns.entry(session.clone()).or_default().push(turn);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Returns the turns of a session, the oldest first.
    ///
    /// # Errors
    ///
    /// Fails where the store cannot be read.
    async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError>;

    /// Adds a turn behind those of its session.
    ///
    /// # Errors
    ///
    /// Fails where the store cannot be written.
    async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError>;
}

#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
        (**self).turns(session).await
    }

    async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError> {
        (**self).append(session, turn).await
    }
}
