use std::sync::{Arc, Weak};

use super::Context;
use crate::runtime::cell::lock;
use crate::worker::ModelWorker;

/// What is known of the model that answers a request.
#[derive(Default)]
pub(crate) enum Answering {
    /// Nothing.
    #[default]
    Unknown,
    /// It is that of this worker, which is asked for its name only when somebody wants to know, and lives no longer for that.
    Of(Weak<dyn ModelWorker>),
    Named(Arc<str>),
}

impl Context {
    /// Notes which model is asked from now on, or that it is not known, so that callers can be told before the answer ends.
    ///
    /// For workers that ask one of several others, before they do: of any other the model is what
    /// [`WorkerInfo::model`](crate::worker::WorkerInfo::model) says. Of several that do so around each other the innermost is
    /// last, and holds.
    pub fn asks_model(&self, model: Option<Arc<str>>) {
        *lock(&self.0.extra().answering) = model.map_or(Answering::Unknown, Answering::Named);
    }

    /// Returns the model that answers, or was asked last; `None` where it is not known, before a worker is called, and when the
    /// pipeline is gone.
    ///
    /// Another one may go on with an answer: then it is that one. The terminal event's [`Origin`](crate::token::Origin) says
    /// who ended it.
    #[must_use]
    pub fn asked_model(&self) -> Option<Arc<str>> {
        let worker = match &*lock(&self.0.extra_if_any()?.answering) {
            Answering::Unknown => return None,
            Answering::Named(model) => return Some(model.clone()),
            Answering::Of(worker) => worker.clone(),
        };
        worker.upgrade()?.info().model.map(Arc::from)
    }
}
