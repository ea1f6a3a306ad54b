//! The lock of the queue: the standard library's, or loom's where the queue is model-checked.

#[cfg(not(all(test, core_loom)))]
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(all(test, core_loom))]
pub(super) use loom::sync::{Mutex, MutexGuard};

/// Locks; a panic of another holder is not ours to repeat, no user code runs under the lock.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
