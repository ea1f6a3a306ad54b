//! What must not be told on.

use std::fmt;
use std::sync::Arc;

use orchestrator_core::error::WorkerError;
use secrecy::{ExposeSecret, SecretString};

const IN_ITS_PLACE: &str = "[key]";

/// The keys of a server, and what takes them out of the errors in which the server echoes them.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[SecretString]>);

impl Secrets {
    /// An empty key would be found everywhere.
    pub(super) fn new(secrets: impl Iterator<Item = SecretString>) -> Self {
        Self(secrets.filter(|secret| !secret.expose_secret().is_empty()).collect())
    }

    /// Takes the keys out of everything that the error says. Rebuilds it only where there is one.
    pub(super) fn take_out_of(&self, error: WorkerError) -> WorkerError {
        let error = match error.body().map(|body| self.without(body)) {
            Some(Some(body)) => error.with_body(body),
            _ => error,
        };
        let said = error.to_string();
        match self.without(said.strip_prefix(PREFIX).unwrap_or(&said)) {
            Some(message) => reworded(&error, message),
            None => error,
        }
    }

    /// Returns the text without the keys; `None` where there is none in it.
    fn without(&self, text: &str) -> Option<String> {
        let mut clean = None;
        for secret in self.0.iter().map(|secret| secret.expose_secret()) {
            let so_far = clean.as_deref().unwrap_or(text);
            if so_far.contains(secret) {
                clean = Some(so_far.replace(secret, IN_ITS_PLACE));
            }
        }
        clean
    }
}

/// What every `WorkerError` begins with when it is shown.
const PREFIX: &str = "worker failed: ";

/// The same error in other words.
fn reworded(error: &WorkerError, message: String) -> WorkerError {
    let mut copy = WorkerError::new(error.kind(), message);
    if let Some(status) = error.status() {
        copy = copy.with_status(status);
    }
    if let Some(body) = error.body() {
        copy = copy.with_body(body);
    }
    if let Some(pause) = error.retry_after() {
        copy = copy.with_retry_after(pause);
    }
    copy
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use orchestrator_core::error::WorkerErrorKind;

    use super::*;

    #[test]
    fn a_key_that_the_server_echoes_is_taken_out_of_message_and_body() {
        let secrets = Secrets::new(["sk-1".into(), "".into(), "other".into()].into_iter());
        let error = WorkerError::new(WorkerErrorKind::Auth, "wrong key sk-1, or other")
            .with_status(401)
            .with_body(r#"{"error":"wrong key sk-1"}"#)
            .with_retry_after(Duration::from_secs(1));
        let clean = secrets.take_out_of(error);
        assert_eq!(clean.to_string(), "worker failed: wrong key [key], or [key]");
        assert_eq!(clean.body(), Some(r#"{"error":"wrong key [key]"}"#));
        assert_eq!((clean.kind(), clean.status()), (WorkerErrorKind::Auth, Some(401)));
        assert_eq!(clean.retry_after(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_holds_no_key_stays_as_it_is() {
        let secrets = Secrets::new(["sk-1".into()].into_iter());
        let source = std::io::Error::other("reset");
        let error = WorkerError::new(WorkerErrorKind::Transient, "gone").with_body("body").with_source(source);
        let same = secrets.take_out_of(error);
        assert_eq!((same.to_string().as_str(), same.body()), ("worker failed: gone", Some("body")));
        assert!(std::error::Error::source(&same).is_some());
    }
}
