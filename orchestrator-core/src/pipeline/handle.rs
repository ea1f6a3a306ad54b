use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once};

use crate::pipeline::builder::{Builder, Door, Task};
use crate::request::Input;
use crate::runtime::cell::lock;
use crate::runtime::shared::Shared;
use crate::runtime::watch::keep;
use crate::stats::PipelineStats;

/// Stages, the queues between them and their tasks.
///
/// A cheap handle: clones share one pipeline. Its tasks start with the first submission, on the runtime of that, whose
/// time driver must be enabled, and end by themselves when the last handle is gone and what is inside has finished.
pub struct Pipeline<In, Out> {
    pub(super) inner: Arc<Inner<In>>,
    out: std::marker::PhantomData<fn() -> Out>,
}

/// What the handles share, and the requests inside don't.
pub(super) struct Inner<In> {
    pub(super) shared: Arc<Shared>,
    pub(super) door: Door<In>,
    start: Once,
    tasks: Mutex<Vec<Task>>,
}

// `()`, so that `Pipeline::builder` leaves nothing to be inferred: the stages decide what the pipeline hands on.
impl<In: Input> Pipeline<In, ()> {
    /// Starts to put a pipeline together. The name labels its metrics and spans.
    pub fn builder(name: &str) -> Builder<In, In> {
        Builder::new(name)
    }
}

impl<In: Input, Out: Send + 'static> Pipeline<In, Out> {
    pub(super) fn new(shared: Arc<Shared>, door: Door<In>, tasks: Vec<Task>) -> Self {
        let inner = Inner { shared, door, start: Once::new(), tasks: Mutex::new(tasks) };
        Self { inner: Arc::new(inner), out: std::marker::PhantomData }
    }

    /// Returns what the pipeline has done so far, and what is in it now.
    #[must_use]
    pub fn stats(&self) -> PipelineStats {
        PipelineStats::read(&[&self.inner.shared])
    }

    /// Starts its tasks on the current runtime; tells whether it was the one to do so.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub(crate) fn start_here(&self) -> bool {
        let started = self.inner.shared.runtime.set(tokio::runtime::Handle::current()).is_ok();
        self.inner.start();
        started
    }

    /// What it shares with its requests and tasks.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.shared.name
    }
}

impl<In> Inner<In> {
    /// Spawns the tasks on the current runtime, once.
    pub(super) fn start(&self) {
        if self.start.is_completed() {
            return;
        }
        // Outside of the `call_once`, which a panic would spoil for good.
        self.shared.runtime.get_or_init(tokio::runtime::Handle::current);
        self.start.call_once(|| {
            let tasks = std::mem::take(&mut *lock(&self.tasks));
            for task in tasks {
                self.shared.spawn(task);
            }
            self.shared.spawn(keep(self.shared.clone()));
        });
    }

    /// Lets nothing more in; what is inside goes on.
    pub(super) fn close(&self) {
        self.shared.draining.store(true, Ordering::SeqCst);
        self.shared.segments[0].queue.close_door();
        self.shared.tracker.close();
        self.shared.watch.close();
    }
}

impl<In> Drop for Inner<In> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<In, Out> Clone for Pipeline<In, Out> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), out: std::marker::PhantomData }
    }
}

impl<In, Out> fmt::Debug for Pipeline<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.inner.shared.stages.iter().map(|s| &*s.name).collect();
        f.debug_struct("Pipeline").field("name", &self.inner.shared.name).field("stages", &stages).finish()
    }
}
