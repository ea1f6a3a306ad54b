//! Reading a session's turns for a request, once.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::BoxError;
use orchestrator_core::request::{Message, Role};

use crate::memory::{SessionKey, SessionStore, Turn};

/// How long a store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a session's memory has for a request.
pub(crate) enum Recollection {
    /// The request names no session.
    NoSession,
    /// The caller sends the conversation itself.
    OwnConversation,
    /// The earlier turns, the oldest first.
    Turns(Arc<[Turn]>),
}

/// The turns that were read, so that a second stage does not ask the store again.
struct Recalled(Arc<[Turn]>);

/// What is to be remembered of a request once it is answered: kept with it by the stage that read the memory.
pub(crate) struct Asked(pub(crate) Option<(SessionKey, Vec<Message>)>);

/// Reads the earlier turns for a request that is a bare question.
pub(crate) async fn recall(cx: &Context, store: &dyn SessionStore, messages: &[Message]) -> Recollection {
    let Some(key) = SessionKey::of(cx) else { return Recollection::NoSession };
    if !messages.iter().all(|m| matches!(m.role(), Role::System | Role::User)) {
        return Recollection::OwnConversation;
    }
    if let Some(recalled) = cx.get::<Recalled>() {
        return Recollection::Turns(recalled.0.clone());
    }
    let turns: Arc<[Turn]> = match in_time(store.turns(&key)).await {
        Ok(turns) => turns.into(),
        Err(error) => {
            cx.note(format!("went on without the session's earlier turns: {error}"));
            Arc::default()
        }
    };
    cx.insert(Recalled(turns.clone()));
    Recollection::Turns(turns)
}

/// Waits for a store, but not for ever.
pub(crate) async fn in_time<T>(call: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    let mut call = std::pin::pin!(call);
    // Most stores are there at once, and then no timer is needed.
    if let Poll::Ready(done) = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        return done;
    }
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(done) => done,
        Err(_) => Err(format!("the store took longer than {PATIENCE:?}").into()),
    }
}
