//! What workers of HTTP servers have in common.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::worker::Slots;
use secrecy::SecretString;
use workers_llamacpp::LlamaCppBuilder;
use workers_openai::OpenAiBuilder;
use workers_openai::client::{Client, ClientBuilder};
use workers_openai::error::ConfigError;
use workers_vllm::VllmBuilder;

use crate::file::{Access, Secret};

/// A builder of what speaks to a server.
pub(super) trait Speaks: Sized {
    fn key(self, key: SecretString) -> Self;
    fn header(self, name: &str, value: SecretString) -> Self;
    fn connect_timeout(self, limit: Duration) -> Self;
}

/// Their methods have the same names, and no trait.
macro_rules! speaks {
    ($($builder:ty),+) => {
        $(impl Speaks for $builder {
            fn key(self, key: SecretString) -> Self {
                self.key(key)
            }

            fn header(self, name: &str, value: SecretString) -> Self {
                self.header(name, value)
            }

            fn connect_timeout(self, limit: Duration) -> Self {
                self.connect_timeout(limit)
            }
        })+
    };
}

speaks!(ClientBuilder, LlamaCppBuilder, OpenAiBuilder, VllmBuilder);

/// Has it speak to its server as the file says.
pub(super) fn spoken_to<B: Speaks>(mut builder: B, access: &Access, headers: &BTreeMap<String, Secret>) -> B {
    if let Some(key) = &access.key {
        builder = builder.key(key.reveal());
    }
    if let Some(limit) = access.connect_timeout {
        builder = builder.connect_timeout(limit.into());
    }
    headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()))
}

/// A client as the file sets it up.
pub(super) fn client(url: &str, access: &Access, headers: &BTreeMap<String, Secret>) -> ClientBuilder {
    spoken_to(Client::builder(url), access, headers)
}

/// The slots of a server that is not there, and whether they were known: those of other workers of it, or one for now.
pub(super) fn slots(url: &str, access: &Access) -> Result<(Slots, bool), ConfigError> {
    let client = client(url, access, &BTreeMap::new()).build()?;
    Ok(match Slots::known(client.server()) {
        Some(slots) => (slots, true),
        None => (Slots::of_server(client.server(), NonZeroUsize::MIN), false),
    })
}

/// Settings that cannot be used, as connecting tells them.
pub(super) fn invalid(error: ConfigError) -> WorkerError {
    WorkerError::new(WorkerErrorKind::InvalidRequest, error.to_string()).with_source(error)
}
