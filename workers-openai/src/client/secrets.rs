//! What must not be told on.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use orchestrator_core::error::WorkerError;
use secrecy::{ExposeSecret, SecretString};

const IN_ITS_PLACE: &str = "[key]";

/// The shortest value of a header that is looked for in refusals; shorter ones would be found in every second word.
const SHORTEST: usize = 8;

/// The keys of a server in every form in which it may echo them, the longest first: one that begins another must not leave
/// the other's end. They are ASCII, as headers hold nothing else.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[SecretString]>);

impl Secrets {
    /// An empty key would be found everywhere.
    pub(super) fn new(secrets: impl Iterator<Item = SecretString>) -> Self {
        let forms = secrets.flat_map(|secret| forms(secret.expose_secret()));
        let mut forms: Vec<SecretString> = forms.filter(|form| !form.expose_secret().is_empty()).collect();
        forms.sort_by_key(|form| Reverse(form.expose_secret().len()));
        Self(forms.into())
    }

    /// These, and those in the values of headers.
    pub(super) fn and_of_headers<'a>(&self, values: impl Iterator<Item = &'a str>) -> Self {
        let more: Vec<SecretString> = values.flat_map(of_header).collect();
        if more.is_empty() { self.clone() } else { Self::new(self.0.iter().cloned().chain(more)) }
    }

    /// Takes the keys out of everything that the error says. Rebuilds it only where there is one.
    ///
    /// A text that has been cut may end within a key, which is not found any more: [`clean`](Self::clean) comes first.
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

    /// Returns the text without the keys.
    pub(super) fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.without(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// Returns how many bytes are left of a text that was cut, without a key that begins at its end.
    pub(super) fn before_a_begun_one(&self, text: &[u8]) -> usize {
        let begun = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            (1..secret.len()).rev().find(|part| text.ends_with(&secret[..*part]))
        };
        text.len() - self.0.iter().filter_map(begun).max().unwrap_or(0)
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

/// The value of a header, and what stands behind its scheme (`Bearer ..`): servers echo either.
fn of_header(value: &str) -> impl Iterator<Item = SecretString> {
    let value = value.trim();
    let behind_scheme = value.rsplit_once(' ').map(|(_, token)| token);
    let values = std::iter::once(value).chain(behind_scheme);
    values.filter(|value| value.len() >= SHORTEST).map(SecretString::from)
}

/// A key as it is, and as JSON writes it: some servers put a backslash before each slash.
fn forms(secret: &str) -> impl Iterator<Item = SecretString> + use<> {
    let plain = secret.trim().to_owned();
    let quoted = serde_json::Value::from(plain.as_str()).to_string();
    let escaped = quoted[1..quoted.len() - 1].to_owned();
    let slashed = escaped.replace('/', "\\/");
    let mut forms = vec![plain, escaped, slashed];
    forms.dedup();
    forms.into_iter().map(SecretString::from)
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

    #[test]
    fn a_key_is_found_in_every_form_the_longest_first() {
        let secrets = Secrets::new([" sk-a\n".into(), "sk-a/b\"c".into()].into_iter());
        for echoed in ["sk-a", "sk-a/b\"c", r#"sk-a/b\"c"#, r#"sk-a\/b\"c"#] {
            assert_eq!(secrets.clean(echoed), "[key]", "{echoed}");
        }
    }

    #[test]
    fn a_header_is_found_with_its_scheme_and_without_it() {
        let secrets = Secrets::default().and_of_headers(["Bearer sk-secret", "short"].into_iter());
        assert_eq!(secrets.clean("Bearer sk-secret, sk-secret, short"), "[key], [key], short");
    }

    #[test]
    fn a_key_that_a_cut_has_begun_is_left_out() {
        let secrets = Secrets::new(["sk-secret".into(), "secure".into()].into_iter());
        for (cut, left) in
            [("wrong sk-secre", "wrong "), ("wrong sec", "wrong "), ("sk-secret", "sk-secret"), ("a", "a")]
        {
            assert_eq!(secrets.before_a_begun_one(cut.as_bytes()), left.len(), "{cut}");
        }
    }
}
