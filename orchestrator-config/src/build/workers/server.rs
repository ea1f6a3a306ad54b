//! What workers of HTTP servers have in common.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::worker::Slots;
use workers_openai::client::{Client, ClientBuilder};
use workers_openai::error::ConfigError;

use crate::file::{Secret, Time};

/// A client as the file sets it up.
pub(super) fn client(
    url: &str,
    key: Option<&Secret>,
    headers: &BTreeMap<String, Secret>,
    connect_timeout: Option<Time>,
) -> ClientBuilder {
    let builder = Client::builder(url);
    let builder = key.into_iter().fold(builder, |builder, key| builder.key(key.reveal()));
    let builder = connect_timeout.into_iter().fold(builder, |builder, limit| builder.connect_timeout(limit.into()));
    headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()))
}

/// The slots of a server that is not there, and whether they were known: those of other workers of it, or one for now.
pub(super) fn slots(url: &str, key: Option<&Secret>) -> Result<(Slots, bool), ConfigError> {
    let client = client(url, key, &BTreeMap::new(), None).build()?;
    Ok(match Slots::known(client.server()) {
        Some(slots) => (slots, true),
        None => (Slots::of_server(client.server(), NonZeroUsize::MIN), false),
    })
}

/// Settings that cannot be used, as connecting tells them.
pub(super) fn invalid(error: ConfigError) -> WorkerError {
    WorkerError::new(WorkerErrorKind::InvalidRequest, error.to_string()).with_source(error)
}
