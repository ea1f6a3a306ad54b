use std::sync::Arc;

use http::HeaderMap;
use orchestrator_core::request::{Priority, RequestOptions};

use super::journal::{self, AskedModel};
use crate::keys::Key;

/// The header in which a client names its conversation.
const SESSION: &str = "x-session-id";

/// The conversation that a request belongs to, as far as its headers tell.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION).and_then(|session| session.to_str().ok()).filter(|session| !session.is_empty())
}

/// Who asks: what is known of a client before its request is read.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) session: Option<Arc<str>>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) priority: Priority,
    /// Whether it gets its answer in one piece, so that one that breaks off may begin anew.
    pub(crate) takes_whole: bool,
    /// Where the model that it asks for is noted, if anywhere.
    pub(super) model: Option<AskedModel>,
}

impl Caller {
    pub(crate) fn new(headers: &HeaderMap, key: Option<&Key>) -> Self {
        Self {
            session: session(headers).map(Arc::from),
            tenant: key.and_then(|key| key.tenant.clone()),
            priority: key.map_or(Priority::Normal, |key| key.priority),
            takes_whole: false,
            model: None,
        }
    }

    /// Notes which model it asks for.
    pub(crate) fn asks_for(&self, model: &str) {
        if let Some(asked) = &self.model {
            journal::note(asked, model);
        }
    }

    /// Returns how its request is to be treated; `user` is its session where no header names one.
    pub(crate) fn options(&self, user: Option<&str>) -> RequestOptions {
        let mut options = RequestOptions::new().priority(self.priority);
        options.session = self.session.clone().or_else(|| user.filter(|user| !user.is_empty()).map(Arc::from));
        options.tenant = self.tenant.clone();
        options.resets = self.takes_whole;
        options
    }
}
