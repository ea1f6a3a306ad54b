use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What belongs to a server rather than to a worker: one for all workers of this process that name the server alike, as long
/// as there are any.
pub(crate) struct Registry<T>(Mutex<Option<HashMap<String, Weak<T>>>>);

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Returns what belongs to a server, and makes it where there is none yet.
    pub(crate) fn of_server(&self, server: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(HashMap::new);
        if let Some(shared) = known.get(server).and_then(Weak::upgrade) {
            return shared;
        }
        known.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(make());
        known.insert(server.to_owned(), Arc::downgrade(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_server_share_as_long_as_there_are_any() {
        let registry = Registry::new();
        let one = registry.of_server("a", || 1);
        assert_eq!(*registry.of_server("a", || 2), 1);
        assert_eq!(*registry.of_server("b", || 3), 3);
        drop(one);
        assert_eq!(*registry.of_server("a", || 4), 4);
    }
}
