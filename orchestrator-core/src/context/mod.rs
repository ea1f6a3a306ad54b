//! What a stage or a worker knows of the request that it works for.

mod answering;
mod offload;
mod session_state;

pub use crate::runtime::permit::Permit;
pub(crate) use answering::Answering;
pub use offload::OffloadError;
pub(crate) use offload::start_cpu_pool;
pub use session_state::{SessionStateError, SessionStateErrorKind};

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::admission::Bookings;
use crate::answer::Report;
use crate::request::{Priority, RequestOptions};
use crate::runtime::cell::{Cell, lock};
use crate::runtime::clock::Clock;
use crate::runtime::id;
use crate::runtime::shared::Shared;
use crate::worker::{Lease, Slots};

/// One request's id, options, cancellation and extensions; a cheap clone per request.
///
/// A stage is given a reference and may keep a clone. A worker finds it in
/// [`InferenceRequest::context`](crate::worker::InferenceRequest).
#[derive(Clone)]
pub struct Context(Arc<Cell>);

impl Context {
    pub(crate) const fn new(cell: Arc<Cell>) -> Self {
        Self(cell)
    }

    pub(crate) const fn cell(&self) -> &Arc<Cell> {
        &self.0
    }

    /// Makes a context that belongs to no pipeline, to call a stage or a worker by hand.
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    ///
    /// let cx = Context::standalone(RequestOptions::new().session("s"));
    /// assert_eq!(cx.session(), Some("s"));
    /// ```
    #[must_use]
    pub fn standalone(options: RequestOptions) -> Self {
        let shared = Arc::new(Shared::standalone());
        let deadline = options.deadline.map_or(crate::queue::NEVER, |d| shared.clock.ticks(d));
        let now = shared.clock.now();
        Self(Cell::new(id::next(), options, Bookings::new(), deadline, now, shared))
    }

    /// Returns the number of the request, unique within this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Returns how the request is to be treated.
    #[must_use]
    pub fn options(&self) -> &RequestOptions {
        &self.0.options
    }

    /// Returns the conversation, where the caller named one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.0.options.session.as_deref()
    }

    /// Returns the tenant, where the caller named one.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.0.options.tenant.as_deref()
    }

    /// Returns the class.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.options.priority
    }

    /// Returns the deadline, where the caller set one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.options.deadline
    }

    /// Returns the time since the request was submitted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.clock().now().saturating_sub(self.0.submitted))
    }

    /// Returns what the request took so far, stage by stage.
    ///
    /// What the caller reads with [`Answer::report`](crate::answer::Answer::report), for stages that log or decide by it.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::read(&self.0)
    }

    /// Leaves a sentence in the request's report, in the name of the stage that runs it.
    ///
    /// For what the caller should know and no error is: passages that were left out, a search that was given up. What a
    /// program shall act on is kept with [`insert`](Self::insert) as well.
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    ///
    /// let cx = Context::standalone(RequestOptions::new());
    /// cx.note("2 passages left out");
    /// assert_eq!(cx.report().notes[0].text, "2 passages left out");
    /// ```
    pub fn note(&self, text: impl Into<String>) {
        let note = (self.0.stage_name(), text.into());
        lock(&self.0.extra().notes).push(note);
    }

    /// Returns whether the request has ended without an answer.
    ///
    /// For loops that do not await; whatever awaits is dropped anyway.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_settled() && self.0.error().is_some()
    }

    /// Returns the token that is cancelled when the request ends without an answer.
    ///
    /// For work that runs outside of the stage's future. What runs inside is dropped without it.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.0.token().clone()
    }

    /// Keeps a value with the request, in place of an earlier one of the same type.
    ///
    /// It lives as long as the request's context. A value that itself holds the context keeps both for ever.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        let replaced = self.0.extensions().insert(TypeId::of::<T>(), Arc::new(value));
        drop(replaced);
    }

    /// Returns the value of a type that was kept with the request.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let any: Arc<dyn Any + Send + Sync> = self.0.extensions().get(&TypeId::of::<T>())?.clone();
        any.downcast().ok()
    }

    /// Keeps the request inside its stage until the permit is dropped, also after `run` has returned.
    ///
    /// For outputs that go on using what the stage's concurrency limits: a token stream keeps its permit until it has
    /// ended. Outside of a stage's `run` the permit holds nothing.
    pub fn hold_permit(&self) -> Permit {
        Permit::new(self.0.hold())
    }

    /// Returns what stands behind the slot with which the stage that runs was entered; empty where that is none of `slots`, or
    /// was asked before.
    ///
    /// For workers whose slots are a [group](crate::worker::SlotGroup), which are called without a [`Lease`]: by a stage that
    /// [takes](crate::stage::StageConfig::slots) their slots itself, and calls them from its `run`.
    #[must_use]
    pub fn lease(&self, slots: &Slots) -> Lease {
        self.0.lease(Some(slots))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.shared.clock
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", &self.id()).field("options", self.options()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_type_and_replaced_by_the_next() {
        let cx = Context::standalone(RequestOptions::new());
        cx.insert(1_u8);
        cx.insert("text");
        cx.insert(2_u8);
        assert_eq!(cx.get::<u8>().as_deref(), Some(&2));
        assert_eq!(cx.get::<&str>().as_deref(), Some(&"text"));
        assert!(cx.get::<u16>().is_none());
    }
}
