use std::fmt;
use std::sync::Arc;

use orchestrator_core::request::Priority;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The API keys that a server knows: their hashes, and on whose account they are.
///
/// A key is looked for among all of them in a time that does not depend on how much of it is right. What is shown of this, in
/// `Debug` too, are tenants only.
#[derive(Clone, Default)]
pub struct Keys(Arc<[Key]>);

/// An API key as a server knows it.
#[derive(Clone)]
pub struct Key {
    /// The SHA-256 of its text.
    pub sha256: [u8; 32],
    /// On whose account its requests are.
    pub tenant: Option<Arc<str>>,
    /// In which class its requests queue.
    pub priority: Priority,
}

impl Keys {
    /// Returns whether there are none, so that everybody may ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds the key that a client presents.
    pub(crate) fn find(&self, presented: &[u8]) -> Option<&Key> {
        let digest = Sha256::digest(presented);
        // All of them are compared, and each of them whole.
        self.0
            .iter()
            .fold(None, |found, key| if bool::from(digest.as_slice().ct_eq(&key.sha256)) { Some(key) } else { found })
    }
}

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("tenant", &self.tenant).field("priority", &self.priority).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let key = |text: &str, tenant: &str| Key {
            sha256: Sha256::digest(text).into(),
            tenant: Some(tenant.into()),
            priority: Priority::Normal,
        };
        Keys::from_iter([key("one", "acme"), key("two", "globex")])
    }

    #[test]
    fn only_the_whole_key_is_found() {
        let tenant = |text: &str| keys().find(text.as_bytes()).and_then(|key| key.tenant.clone());
        assert_eq!(tenant("one").as_deref(), Some("acme"));
        assert_eq!(tenant("two").as_deref(), Some("globex"));
        for wrong in ["", "on", "one ", "One", "three"] {
            assert_eq!(tenant(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn no_hash_is_shown() {
        let shown = format!("{:?}", keys());
        assert!(shown.contains("acme") && !shown.contains("sha256"), "{shown}");
    }
}
