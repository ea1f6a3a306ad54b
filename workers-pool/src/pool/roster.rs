use std::sync::Arc;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::{InferenceRequest, WorkerInfo};
use tokio::time::Instant;

use crate::policy::Policy;
use crate::pool::seat::Seat;

/// Who belongs to a pool, and how one is chosen: whole and unchanging, in place of which another comes when something changes.
#[derive(Clone)]
pub(super) struct Roster {
    pub(super) policy: Arc<dyn Policy>,
    /// In the order in which they were added.
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) info: WorkerInfo,
}

/// A member, and what is known of it for now.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) seat: Arc<Seat>,
    pub(super) info: WorkerInfo,
    /// Its model once more, as requests carry it.
    pub(super) model: Option<Arc<str>>,
    pub(super) weight: f64,
    pub(super) draining: bool,
    /// Until when it is left alone since it does worse than the others.
    pub(super) ejected: Option<Instant>,
}

impl Entry {
    pub(super) fn new(seat: Arc<Seat>, info: WorkerInfo, weight: f64) -> Self {
        let model = info.model.as_deref().map(Arc::from);
        Self { seat, info, model, weight, draining: false, ejected: None }
    }

    pub(super) fn learn(&mut self, info: WorkerInfo) {
        self.model = info.model.as_deref().map(Arc::from);
        self.info = info;
    }

    /// Until when it is left alone.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.seat.unavailable_until(now).max(self.ejected.filter(|until| *until > now))
    }

    /// Makes a request one for this member: it calls its model by its own name, and is not shown ids of another model's tokens.
    pub(super) fn adapt(&self, request: &mut InferenceRequest) {
        if request.model.is_some() && !self.seat.serves.is_empty() && request.model != self.model {
            request.model.clone_from(&self.model);
        }
        if let Some(prefix) = &mut request.prefix
            && !self.is_of_model(prefix.model.as_deref())
        {
            prefix.token_ids.clear();
        }
    }

    /// Whether it is known to have this model.
    pub(super) fn is_of_model(&self, model: Option<&str>) -> bool {
        model.is_some() && model == self.model.as_deref()
    }
}

impl Roster {
    /// What there is against a new member, of those that there are.
    pub(super) fn refuses(&self, name: &str, embedder: Option<&dyn Embedder>) -> Vec<InvalidInput> {
        let mut faults = Vec::new();
        if self.place(name).is_ok() {
            faults.push(InvalidInput::new("name", format!("`{name}` is taken already")));
        }
        let ours = self.entries.iter().find_map(|entry| Some(entry.seat.embedder.as_deref()?.name()));
        if let Some((new, ours)) = embedder.map(Embedder::name).zip(ours)
            && new != ours
        {
            let problem = format!("of `{name}` is `{new}`, and that of the others `{ours}`");
            faults.push(InvalidInput::new("embedder", problem));
        }
        faults
    }

    /// Where a member stands.
    pub(super) fn place(&self, name: &str) -> Result<usize, InvalidInput> {
        let place = self.entries.iter().position(|entry| entry.seat.name == name);
        place.ok_or_else(|| InvalidInput::new("member", format!("`{name}` is not in the pool")))
    }

    /// The same with other entries.
    pub(super) fn with(&self, name: &str, entries: Vec<Arc<Entry>>) -> Self {
        let info = together(name, &entries);
        Self { policy: self.policy.clone(), entries, info }
    }
}

/// What members are together: what one of them can do, the pool can.
pub(super) fn together(name: &str, entries: &[Arc<Entry>]) -> WorkerInfo {
    let infos = || entries.iter().filter(|entry| !entry.draining).map(|entry| &entry.info);
    let mut info = WorkerInfo::new(name);
    let first = infos().next().and_then(|first| first.model.as_ref());
    info.model = first.filter(|_| infos().all(|other| other.model.as_ref() == first)).cloned();
    info.context_length =
        infos().map(|member| member.context_length).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    info.continues = infos().any(|member| member.continues);
    info.tools = any_takes(infos().map(|member| member.tools));
    info.images = any_takes(infos().map(|member| member.images));
    info
}

/// Whether one of them takes it; `None` where that is not known of all that don't say yes.
fn any_takes(mut takes: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    if takes.clone().any(|takes| takes == Some(true)) {
        return Some(true);
    }
    let mut any = false;
    let none = takes.all(|takes| {
        any = true;
        takes == Some(false)
    });
    (any && none).then_some(false)
}
