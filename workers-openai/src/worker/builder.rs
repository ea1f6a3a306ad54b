use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::worker::{Slots, Timeouts};
use secrecy::SecretString;

use super::openai::{OpenAi, Settings};
use super::preset::Preset;
use crate::chat::Dialect;
use crate::client::{Client, ClientBuilder};
use crate::error::ConfigError;

/// Settings of an [`OpenAi`].
#[derive(Debug)]
#[must_use]
pub struct OpenAiBuilder {
    client: ClientBuilder,
    base_url: Option<String>,
    preset: Option<Preset>,
    name: Option<String>,
    model: Option<String>,
    context_length: Option<u64>,
    slots: Option<NonZeroUsize>,
    timeouts: Timeouts,
}

impl OpenAiBuilder {
    pub(super) fn new() -> Self {
        Self {
            client: Client::builder(String::new()),
            base_url: None,
            preset: None,
            name: None,
            model: None,
            context_length: None,
            slots: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Names the kind of server; without one, requests are worded as most servers understand them.
    pub const fn preset(mut self, preset: Preset) -> Self {
        self.preset = Some(preset);
        self
    }

    /// Says where the server is; a preset has a place of its own.
    ///
    /// A URL without a path, such as `http://127.0.0.1:8000`, has its routes below `/v1`; one with a path, such as
    /// `https://api.example.com/openai/v1`, has them below that. A query, such as Azure's `?api-version=..`, goes with every
    /// request.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the key, sent as `Authorization: Bearer ..`; it shows in no error and no log.
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

    /// Names the worker, for logs and reports; the preset's name, or `openai`, unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the model that is asked for where a request names none; servers with one model need none.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Says how many tokens prompt and answer may have together.
    pub const fn context_length(mut self, tokens: u64) -> Self {
        self.context_length = Some(tokens);
        self
    }

    /// Says how many requests the server takes at once, over all workers of this process that talk to it. Unless set, those
    /// hold that another worker of this server has told of, if there is one.
    pub const fn slots(mut self, slots: NonZeroUsize) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Makes the worker; does no I/O.
    ///
    /// # Errors
    ///
    /// Reports every setting that is wrong, at once.
    pub fn build(self) -> Result<OpenAi, ConfigError> {
        let mut faults = Vec::new();
        for (field, text) in [("name", &self.name), ("model", &self.model)] {
            if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
                faults.push(InvalidInput::new(field, "must not be empty"));
            }
        }
        if self.slots.is_some_and(|slots| slots.get() > Slots::MOST) {
            faults.push(InvalidInput::new("slots", format!("must be at most {}", Slots::MOST)));
        }
        let base_url = self.base_url.or_else(|| Some(self.preset?.base_url().to_owned()));
        let Some(base_url) = base_url else {
            let missing = InvalidInput::new("base_url", "must be set, or a preset that has one");
            return Err(ConfigError::new("worker", [vec![missing], self.client.other_faults(), faults].concat()));
        };
        let client = match self.client.base_url(base_url).build() {
            Ok(client) if faults.is_empty() => client,
            Ok(_) => return Err(ConfigError::new("worker", faults)),
            Err(error) => return Err(ConfigError::new("worker", [error.into_faults(), faults].concat())),
        };
        let preset = self.preset;
        Ok(OpenAi::new(Settings {
            slots: self.slots.map(|slots| Slots::at_most(client.server(), slots)),
            client,
            dialect: preset.map_or_else(Dialect::default, Preset::dialect),
            name: self.name.unwrap_or_else(|| preset.map_or("openai", Preset::name).to_owned()),
            model: self.model.or_else(|| preset?.model().map(str::to_owned)),
            context_length: self.context_length,
            health: preset.map_or("models", Preset::health),
            takes_raw_prompts: preset.is_none_or(Preset::takes_raw_prompts),
            timeouts: self.timeouts,
        }))
    }
}
