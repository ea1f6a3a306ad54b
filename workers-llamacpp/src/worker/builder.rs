use std::fmt;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue};
use orchestrator_core::error::{InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::worker::{Slots, Timeouts};
use secrecy::SecretString;
use workers_openai::client::{Client, ClientBuilder};
use workers_openai::error::ConfigError;

use super::llamacpp::{LlamaCpp, Settings};
use super::route::Route;
use crate::pin::Pins;
use crate::server::{Doubt, Facts};

/// Makes the server go on with an answer whose reader has gone.
const CONVERSATION: &str = "x-conversation-id";

const LOADING: Duration = Duration::from_secs(60);

/// Settings of a [`LlamaCpp`].
#[must_use]
pub struct LlamaCppBuilder {
    client: ClientBuilder,
    own_http_client: bool,
    faults: Vec<InvalidInput>,
    name: String,
    route: Route,
    timeouts: Timeouts,
    loading: Duration,
    pin_sessions: bool,
}

impl LlamaCppBuilder {
    pub(super) fn new(base_url: &str) -> Self {
        let base_url = base_url.trim().trim_end_matches('/');
        Self {
            // The server's own routes lie beside those of OpenAI's API.
            client: Client::builder(base_url.strip_suffix("/v1").unwrap_or(base_url)),
            own_http_client: false,
            faults: Vec::new(),
            name: "llama.cpp".to_owned(),
            route: Route::default(),
            timeouts: Timeouts::default(),
            loading: LOADING,
            pin_sessions: true,
        }
    }

    /// Sets the key, sent as `Authorization: Bearer ..`; it shows in no error and no log.
    pub fn key(mut self, key: impl Into<SecretString>) -> Self {
        self.client = self.client.key(key);
        self
    }

    /// Sends a header with every request; see [`ClientBuilder::header`].
    ///
    /// `X-Conversation-Id` is refused: with it the server goes on with an answer that nobody reads any more.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        let name = name.into();
        if name.trim().eq_ignore_ascii_case(CONVERSATION) {
            let problem = format!("`{name}` would make the server go on with answers that nobody reads any more");
            self.faults.push(InvalidInput::new("header", problem));
            return self;
        }
        self.client = self.client.header(name, value);
        self
    }

    /// Uses an HTTP client of one's own; see [`ClientBuilder::http_client`]. An `X-Conversation-Id` among its default headers
    /// is overruled by an empty one, which the server takes for none.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.client = self.client.http_client(client);
        self.own_http_client = true;
        self
    }

    /// Limits the time in which a connection must stand; 5 s unless set.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.client = self.client.connect_timeout(limit);
        self
    }

    /// Limits how long [`connect`](Self::connect) waits for a server that still loads its model; 60 s unless set.
    pub const fn loading_timeout(mut self, limit: Duration) -> Self {
        self.loading = limit;
        self
    }

    /// Limits the phases of an answer.
    ///
    /// A server that is asked to end (SIGTERM) while it answers mostly falls silent for half a minute before it closes
    /// the connection: the limit between tokens is what notices.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Says by which route conversations go; [`Route::Chat`] unless set.
    pub const fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// Names the worker, for logs and reports; `llama.cpp` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        if self.name.trim().is_empty() {
            self.faults.push(InvalidInput::new("name", "must not be empty"));
        }
        self
    }

    /// Says whether requests name the slot that shall answer them, so that the turns of a session find its cache; they do
    /// unless set.
    ///
    /// To be turned off where several processes use one server: they do not know of each other which slots are taken, and a
    /// request that names a busy slot waits for it though others are free.
    pub const fn pin_sessions(mut self, pin: bool) -> Self {
        self.pin_sessions = pin;
        self
    }

    /// Makes the worker: asks the server for its slots, its context and its model, and waits while it still loads.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` with every setting that is wrong; `Transient` where nothing answers at the address; `Overloaded` where
    /// the server still loads when the limit passes; `NotFound` or `Protocol` where what answers is no llama.cpp; `Auth`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing has been changed when it is dropped.
    pub async fn connect(self) -> Result<LlamaCpp, WorkerError> {
        let client = match self.client.build() {
            Ok(client) if self.faults.is_empty() => client,
            Ok(_) => return Err(refused(self.faults)),
            Err(error) => return Err(refused([error.into_faults(), self.faults].concat())),
        };
        let facts = Facts::wait(&client, self.loading).await?;
        let headers = stream_headers(&client, self.own_http_client);
        Ok(LlamaCpp::new(Settings {
            slots: Slots::of_server(client.server(), facts.slots),
            pins: Pins::of_server(client.server(), facts.slots.get()),
            facts: facts.into(),
            doubt: Doubt::default(),
            client,
            headers,
            name: self.name,
            route: self.route,
            timeouts: self.timeouts,
            pin_sessions: self.pin_sessions,
        }))
    }
}

/// What goes with every request whose answer is a stream.
fn stream_headers(client: &Client, own_http_client: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The server closes a connection behind a stream, after it has promised to keep it, and a request that is sent at the same
    // moment is lost. Behind TLS there is a proxy, whose connections are another matter.
    if client.server().starts_with("http://") {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if own_http_client {
        headers.insert(CONVERSATION, HeaderValue::from_static(""));
    }
    headers
}

fn refused(faults: Vec<InvalidInput>) -> WorkerError {
    let error = ConfigError::new("worker", faults);
    WorkerError::new(WorkerErrorKind::InvalidRequest, error.to_string()).with_source(error)
}

impl fmt::Debug for LlamaCppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaCppBuilder")
            .field("client", &self.client)
            .field("name", &self.name)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}
