use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};

/// Whether the server may be another one by now, with other slots or another model. Clones are the same doubt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    /// Notes an error: of those that a server makes that ends, is gone, or loads its model.
    pub(crate) fn note(&self, error: &WorkerError) {
        if matches!(error.kind(), Kind::StreamCut | Kind::Transient | Kind::Overloaded) {
            self.0.store(true, Ordering::Release);
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Ends it: the server has said what it is.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}
