use std::sync::Arc;

use crate::request::RequestOptions;

/// Whose state it is: two tenants that use the same name for a session never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    tenant: Option<Arc<str>>,
    session: Arc<str>,
}

impl SessionKey {
    /// The session that a request belongs to, where it names one.
    pub(crate) fn of(options: &RequestOptions) -> Option<Self> {
        options.session.clone().map(|session| Self { tenant: options.tenant.clone(), session })
    }
}
