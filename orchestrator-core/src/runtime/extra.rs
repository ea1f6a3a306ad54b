use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::context::Answering;
use crate::error::Error;
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::permit::Unit;
use crate::runtime::spans;
use crate::shards::Presence;
use crate::token::Finish;
use crate::worker::{Lease, Slots};

/// What only some requests need.
#[derive(Default)]
pub(crate) struct Extra {
    held: Mutex<Option<Arc<Unit>>>,
    extensions: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    pub(super) token: OnceLock<CancellationToken>,
    pub(crate) span: Mutex<Option<Span>>,
    /// Ticks of the first token and of the last event, 0 before them.
    pub(crate) first_token: AtomicU64,
    pub(crate) last_event: AtomicU64,
    pub(crate) finish: Mutex<Option<Finish>>,
    /// What stages had to say, each with its name.
    pub(crate) notes: Mutex<Vec<(Arc<str>, String)>>,
    /// What the request's session counts it by, until it ends.
    presence: Mutex<Option<Presence>>,
    /// The stage whose stream it is that flows.
    source: Mutex<Option<Arc<str>>>,
    /// The stage in whose stream there was a panic, until it is caught here, or another stream begins: somebody else may catch
    /// it, and go on.
    blamed: Mutex<Option<Arc<str>>>,
    pub(crate) answering: Mutex<Answering>,
}

impl Extra {
    /// Tells whoever watches the token, and closes the span.
    pub(super) fn close(&self, ending: &Ending) {
        if let Some(token) = self.token.get()
            && !matches!(ending, Ending::Answered)
        {
            token.cancel();
        }
        let span = lock(&self.span).take();
        if let Some(span) = span {
            spans::close(&span, ending, lock(&self.finish).as_ref());
        }
    }
}

impl Cell {
    pub(crate) fn extra(&self) -> &Extra {
        self.extra.get_or_init(Box::default)
    }

    pub(crate) fn extra_if_any(&self) -> Option<&Extra> {
        self.extra.get().map(Box::as_ref)
    }

    /// Notes that the stage that runs it hands on a stream, its own unless it has one from an earlier stage.
    pub(crate) fn mark_source(&self) {
        let extra = self.extra();
        lock(&extra.source).get_or_insert_with(|| self.stage_name());
        *lock(&extra.blamed) = None;
    }

    /// Notes that the stage that runs it calls a worker: what is told of the stream is told of this one from now on.
    pub(crate) fn start_stream(&self) {
        let extra = self.extra();
        *lock(&extra.source) = Some(self.stage_name());
        *lock(&extra.finish) = None;
        *lock(&extra.blamed) = None;
        extra.first_token.store(0, Ordering::Relaxed);
        extra.last_event.store(0, Ordering::Relaxed);
    }

    /// Keeps what its session counts it by until it ends, which it may have done already.
    pub(crate) fn keep_presence(&self, presence: Presence) {
        *lock(&self.extra().presence) = Some(presence);
        if self.is_over() {
            self.drop_presence();
        }
    }

    /// Has its session count it no longer.
    pub(super) fn drop_presence(&self) {
        let presence = self.extra_if_any().and_then(|extra| lock(&extra.presence).take());
        drop(presence);
    }

    /// Notes how the answer ends as its caller is told: a stage behind the worker may have ended it otherwise.
    pub(crate) fn finish(&self, finish: &Finish) {
        *lock(&self.extra().finish) = Some(finish.clone());
    }

    /// The name of the stage that a failure of the stream is laid to.
    pub(crate) fn source_name(&self) -> Arc<str> {
        self.extra_if_any().and_then(|e| lock(&e.source).clone()).unwrap_or_else(|| self.stage_name())
    }

    /// Notes in which stage's stream there is a panic: the innermost one's, which comes first.
    #[cold]
    pub(crate) fn blame(&self, stage: &Arc<str>) {
        lock(&self.extra().blamed).get_or_insert_with(|| stage.clone());
    }

    /// The error of a panic that was caught in `stage`, and may come from the stream of another.
    #[cold]
    pub(crate) fn panicked(&self, stage: Arc<str>, payload: &(dyn Any + Send)) -> Error {
        let blamed = self.extra_if_any().and_then(|extra| lock(&extra.blamed).take());
        Error::panicked(blamed.unwrap_or(stage), payload)
    }

    pub(crate) fn extensions(&self) -> MutexGuard<'_, HashMap<TypeId, Arc<dyn Any + Send + Sync>>> {
        lock(&self.extra().extensions)
    }

    /// Lends the run that starts now a unit that exists already.
    pub(crate) fn lend(&self, unit: Arc<Unit>) {
        *lock(&self.extra().held) = Some(unit);
        self.holds.store(true, Ordering::Release);
    }

    /// What stands behind the slot of the current run, where that is one of `slots`, if they are named.
    pub(crate) fn lease(&self, slots: Option<&Slots>) -> Lease {
        let held = self.extra_if_any().and_then(|extra| lock(&extra.held).clone());
        held.and_then(|unit| unit.lease(slots)).unwrap_or_default()
    }

    /// The unit of the current run, made where there is none yet.
    pub(crate) fn hold(&self) -> Option<Arc<Unit>> {
        let gate = &self.shared.segments.get(self.segment()?)?.gate;
        let mut held = lock(&self.extra().held);
        let unit = held.get_or_insert_with(|| Unit::uncounted(gate)).clone();
        self.holds.store(true, Ordering::Release);
        Some(unit)
    }

    /// Ends a run: takes the unit that somebody may hold beyond it.
    #[inline]
    pub(crate) fn end_run(&self) -> Option<Arc<Unit>> {
        if self.holds.load(Ordering::Acquire) { self.take_held() } else { None }
    }

    #[cold]
    fn take_held(&self) -> Option<Arc<Unit>> {
        self.holds.store(false, Ordering::Release);
        let unit = lock(&self.extra().held).take()?;
        unit.count();
        Some(unit)
    }
}
