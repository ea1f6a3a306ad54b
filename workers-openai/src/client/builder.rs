use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use orchestrator_core::error::InvalidInput;
use secrecy::{ExposeSecret, SecretString};

use super::endpoint::Endpoint;
use super::handle::{Client, Limits, Way};
use super::line::Lines;
use super::outgoing::AGENT;
use super::secrets::Secrets;
use crate::error::ConfigError;

const CONNECT: Duration = Duration::from_secs(5);
const EXCHANGE: Duration = Duration::from_secs(60);

/// How long an idle connection is kept. Servers of Python and of llama.cpp close theirs after 5 s, and a request that meets
/// the closing is lost; behind TLS, where connecting is dear, they keep them longer.
const IDLE_PLAIN: Duration = Duration::from_secs(4);
const IDLE_ENCRYPTED: Duration = Duration::from_secs(60);

/// Settings of a [`Client`].
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    key: Option<SecretString>,
    headers: Vec<(String, SecretString)>,
    http_client: Option<reqwest::Client>,
    connect_timeout: Option<Duration>,
    exchange_timeout: Duration,
}

impl ClientBuilder {
    pub(super) fn new(base_url: String) -> Self {
        Self {
            base_url,
            key: None,
            headers: Vec::new(),
            http_client: None,
            connect_timeout: None,
            exchange_timeout: EXCHANGE,
        }
    }

    pub(crate) fn base_url(mut self, base_url: String) -> Self {
        self.base_url = base_url;
        self
    }

    /// What is wrong without a look at the base URL.
    pub(crate) fn other_faults(&self) -> Vec<InvalidInput> {
        let mut faults = Vec::new();
        self.all_headers(&mut faults);
        faults.extend(self.conflicts(None));
        faults
    }

    /// Sets the key, sent as `Authorization: Bearer ..`, without the space around it.
    pub fn key(mut self, key: impl Into<SecretString>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends a header with every request; another one of the same name is replaced.
    ///
    /// Its value is treated as a secret, since it may be one (`x-api-key`): if a server echoes it in a refusal, or what stands
    /// behind its last space (`Bearer ..`), that is taken out, unless it is shorter than eight bytes.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Uses an HTTP client of one's own: for proxies, certificates, HTTP/2, or a pool of connections that is shared.
    ///
    /// Without one, nothing is redirected or tried twice, proxies that the environment names are not used, and HTTP/1.1 is
    /// spoken: each stream has a connection of its own, so that a cancelled one closes it, and slots are the only limit.
    ///
    /// Its redirects, retries and time limits hold then; headers set here are sent by it wherever it is redirected to.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Limits the time in which a connection must stand; 5 s unless set. Not together with
    /// [`http_client`](Self::http_client), which has its own.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Limits the time of an exchange whose answer comes as a whole; 60 s unless set. Streams have no limit here.
    pub const fn exchange_timeout(mut self, limit: Duration) -> Self {
        self.exchange_timeout = limit;
        self
    }

    /// Makes the client; does no I/O.
    ///
    /// # Errors
    ///
    /// Reports every setting that is wrong, at once.
    pub fn build(self) -> Result<Client, ConfigError> {
        let mut faults = Vec::new();
        let endpoint = Endpoint::parse(&self.base_url).map_err(|fault| faults.push(fault)).ok();
        let headers = self.all_headers(&mut faults);
        faults.extend(self.conflicts(endpoint.as_ref()));
        let connect = self.http_client.is_none().then(|| self.connect_timeout.unwrap_or(CONNECT));
        let way = match (&endpoint, self.http_client) {
            (_, Some(own)) => Some(Way::Client(own)),
            (Some(endpoint), None) => {
                way(endpoint, connect.unwrap_or(CONNECT)).map_err(|fault| faults.push(fault)).ok()
            }
            (None, None) => None,
        };
        match (endpoint, way) {
            (Some(endpoint), Some(way)) if faults.is_empty() => {
                let echoed = self.headers.iter().map(|(_, value)| value.expose_secret());
                let secrets = Secrets::new(self.key.into_iter()).and_of_headers(echoed);
                let limits = Limits { connect, exchange: self.exchange_timeout };
                Ok(Client::new(way, endpoint, headers, secrets, limits))
            }
            _ => Err(ConfigError::new("client", faults)),
        }
    }

    fn all_headers(&self, faults: &mut Vec<InvalidInput>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            if key.expose_secret().trim().is_empty() {
                faults.push(InvalidInput::new("key", "must not be empty"));
            }
            // A key out of a file ends with its line.
            let bearer = SecretString::from(format!("Bearer {}", key.expose_secret().trim()));
            match value(&bearer) {
                Some(value) => drop(headers.insert(http::header::AUTHORIZATION, value)),
                None => faults.push(InvalidInput::new("key", "must hold nothing that a header cannot hold")),
            }
        }
        for (name, secret) in &self.headers {
            match (HeaderName::try_from(name), value(secret)) {
                (Ok(name), Some(value)) => drop(headers.insert(name, value)),
                (Err(_), _) => faults.push(InvalidInput::new("header", format!("`{name}` is not a header's name"))),
                (Ok(name), None) => {
                    faults.push(InvalidInput::new("header", format!("`{name}` has a value that no header can have")));
                }
            }
        }
        headers
    }

    fn conflicts(&self, endpoint: Option<&Endpoint>) -> Vec<InvalidInput> {
        let mut faults = Vec::new();
        if self.http_client.is_some() && self.connect_timeout.is_some() {
            faults.push(InvalidInput::new("connect_timeout", "has no effect beside `http_client`, which has its own"));
        }
        let encrypted = endpoint.is_some_and(Endpoint::is_encrypted);
        if encrypted && self.http_client.is_none() && cfg!(not(feature = "rustls")) {
            faults.push(InvalidInput::new("base_url", "needs TLS: turn on the feature `rustls`, or set `http_client`"));
        }
        faults
    }
}

fn value(secret: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Without TLS, connections of our own; with it, those of an HTTP client.
///
/// No redirect is followed: it would turn a `POST` into a `GET`, and carry keys elsewhere. Whether a request may be sent again
/// is the stage's to say.
fn way(endpoint: &Endpoint, connect: Duration) -> Result<Way, InvalidInput> {
    if let Some((host, port)) = endpoint.address() {
        return Ok(Way::Lines(Lines::new(host, port, connect, IDLE_PLAIN)));
    }
    let client = reqwest::Client::builder()
        .user_agent(AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE_ENCRYPTED)
        .connect_timeout(connect)
        .build();
    client.map(Way::Client).map_err(|error| InvalidInput::new("http_client", format!("cannot be made: {error}")))
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        // Its query may hold a key.
        let base_url = self.base_url.split('?').next();
        f.debug_struct("ClientBuilder")
            .field("base_url", &base_url.unwrap_or_default())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}
