use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::error::{InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::worker::{Slots, Timeouts};
use secrecy::{ExposeSecret, SecretString};
use workers_openai::client::{Client, ClientBuilder};
use workers_openai::error::ConfigError;

use crate::discovery;
use crate::fields::Fields;
use crate::salt::CacheSalt;
use crate::vllm::{Settings, Vllm};

/// The shortest secret of salts, in bytes.
const SHORTEST_SECRET: usize = 16;

/// Settings of a [`Vllm`].
#[derive(Debug)]
#[must_use]
pub struct VllmBuilder {
    client: ClientBuilder,
    name: Option<String>,
    model: Option<String>,
    slots: Option<NonZeroUsize>,
    timeouts: Timeouts,
    priorities: bool,
    cache_secret: Option<SecretString>,
    token_ids: bool,
}

impl VllmBuilder {
    pub(crate) fn new(base_url: &str) -> Self {
        let base_url = base_url.trim().trim_end_matches('/');
        let server = base_url.strip_suffix("/v1").unwrap_or(base_url);
        Self {
            client: Client::builder(server),
            name: None,
            model: None,
            slots: None,
            timeouts: Timeouts::default(),
            priorities: false,
            cache_secret: None,
            token_ids: false,
        }
    }

    /// Sets the key (`--api-key`), sent as `Authorization: Bearer ..`; it shows in no error and no log.
    pub fn key(mut self, key: impl Into<SecretString>) -> Self {
        self.client = self.client.key(key);
        self
    }

    /// Sends a header with every request; see [`ClientBuilder::header`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.client = self.client.header(name, value);
        self
    }

    /// Uses an HTTP client of one's own; see [`ClientBuilder::http_client`].
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.client = self.client.http_client(client);
        self
    }

    /// Limits the time in which a connection must stand; 5 s unless set.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.client = self.client.connect_timeout(limit);
        self
    }

    /// Limits the phases of an answer.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Names the model that is asked for where a request names none: one that the server has, or an adapter of it. The
    /// server's first unless set.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Says how many requests the server runs at once (`--max-num-seqs`), over all workers of this process that talk to it.
    ///
    /// Without it the worker limits nothing, and the server queues what it cannot run.
    pub const fn slots(mut self, slots: NonZeroUsize) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Names the worker, for logs and reports; `vllm` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Tells the server the priority of each request: -1 for high, 0 for normal, 1 for low, where lower is earlier.
    ///
    /// Only for a server with `--scheduling-policy priority`: any other refuses every priority but the normal one with a 400. A
    /// `priority` among a request's vendor fields is sent in its place.
    pub const fn priorities(mut self) -> Self {
        self.priorities = true;
        self
    }

    /// Keeps the tenants' parts of the prefix cache apart (`cache_salt`), so that none can find out by the time to the first
    /// token what another one has asked.
    ///
    /// The salt is made of the tenant in [`RequestOptions`](orchestrator_core::request::RequestOptions) and this secret, which
    /// must have 16 bytes or more and stay secret. Processes that shall share a tenant's cache need the same one. Requests
    /// without a tenant have a part of their own. A prompt that all tenants begin with is then computed once for each of them.
    /// A `cache_salt` among a request's vendor fields is not sent.
    pub fn cache_salt(mut self, secret: impl Into<SecretString>) -> Self {
        self.cache_secret = Some(secret.into());
        self
    }

    /// Asks for the ids of tokens (`return_token_ids`), which are in every text delta then.
    ///
    /// With them an answer that breaks off can be gone on with exactly; without them, by its text. They cost a few bytes for
    /// each token, and for each request all ids of its prompt, which the server sends in the first event. A request that goes
    /// on with an answer by its ids asks for them in any case: whoever has the ids up to there needs the others, too, if it
    /// breaks off again. Servers before 0.10.2 don't send them.
    pub const fn with_token_ids(mut self) -> Self {
        self.token_ids = true;
        self
    }

    /// Makes the worker; does no I/O, so that the server need not be up. The model's length is not known then.
    ///
    /// # Errors
    ///
    /// Reports every setting that is wrong, at once.
    ///
    /// # Panics
    ///
    /// Panics above 2^61 slots.
    #[track_caller]
    pub fn build(self) -> Result<Vllm, ConfigError> {
        Ok(Vllm::new(self.settings()?))
    }

    /// Makes the worker and asks the server for its model, the model's length, and its version.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` where a setting is wrong, with the [`ConfigError`] behind it; `NotFound` where the server does not have
    /// the model; those of [`Client::get_json`] where it cannot be asked.
    ///
    /// # Panics
    ///
    /// Panics above 2^61 slots.
    pub async fn connect(self) -> Result<Vllm, WorkerError> {
        let mut settings = self.settings().map_err(|error| {
            WorkerError::new(WorkerErrorKind::InvalidRequest, "the worker cannot be built").with_source(error)
        })?;
        let found = discovery::ask(&settings.client, settings.model.as_deref()).await?;
        settings.model = Some(found.model);
        settings.context_length = found.context_length;
        settings.version = found.version;
        Ok(Vllm::new(settings))
    }

    #[track_caller]
    fn settings(self) -> Result<Settings, ConfigError> {
        let faults = self.faults();
        let client = match self.client.build() {
            Ok(client) if faults.is_empty() => client,
            Ok(_) => return Err(ConfigError::new("worker", faults)),
            Err(error) => return Err(ConfigError::new("worker", [error.into_faults(), faults].concat())),
        };
        Ok(Settings {
            slots: self.slots.map(|slots| Slots::at_most(client.server(), slots)),
            client,
            name: self.name.unwrap_or_else(|| "vllm".to_owned()),
            model: self.model,
            context_length: None,
            version: None,
            timeouts: self.timeouts,
            fields: Fields {
                priorities: self.priorities,
                salt: self.cache_secret.as_ref().map(CacheSalt::new),
                token_ids: self.token_ids,
            },
        })
    }

    fn faults(&self) -> Vec<InvalidInput> {
        let mut faults = Vec::new();
        for (field, text) in [("name", &self.name), ("model", &self.model)] {
            if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
                faults.push(InvalidInput::new(field, "must not be empty"));
            }
        }
        let secret = self.cache_secret.as_ref().map(|secret| secret.expose_secret().len());
        if secret.is_some_and(|length| length < SHORTEST_SECRET) {
            faults.push(InvalidInput::new("cache_salt", format!("must have {SHORTEST_SECRET} bytes at least")));
        }
        faults
    }
}
