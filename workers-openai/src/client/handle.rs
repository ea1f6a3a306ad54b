use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, SERVER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind as Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::ClientBuilder;
use super::endpoint::Endpoint;
use super::frames::Frames;
use super::line::Lines;
use super::outgoing::Outgoing;
use super::read;
use super::response::{self, Body};
use super::secrets::Secrets;
use super::transport::{self, Begun};
use crate::error;

/// The client of one server that speaks HTTP and JSON; what workers of such servers build on.
///
/// Cheap to clone; clones share their connections. Errors are classified, keep the server's status and body, and never hold
/// a key. Nothing is tried twice.
///
/// # Cancel safety
///
/// Dropping a future of any of its methods closes the connection that it uses.
///
/// # Examples
///
/// ```
/// use workers_openai::client::Client;
///
/// let client = Client::builder("http://127.0.0.1:8080").key("secret").build()?;
/// assert_eq!(client.base_url(), "http://127.0.0.1:8080");
/// assert!(!format!("{client:?}").contains("secret"));
/// # Ok::<_, workers_openai::error::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    way: Way,
    endpoint: Endpoint,
    headers: HeaderMap,
    secrets: Secrets,
    limits: Limits,
    /// Whether streams ask for a connection of their own, which nobody uses after them.
    ///
    /// llama.cpp's server closes a connection behind a stream after it has promised to keep it, and a request that is sent at
    /// that moment is lost. So this holds until a server has said in an answer that it is another one.
    closes: AtomicBool,
}

/// What requests go over.
pub(super) enum Way {
    /// Connections of our own, which their readers drive: without TLS, and where the caller has no HTTP client of theirs.
    Lines(Lines),
    /// An HTTP client.
    Client(reqwest::Client),
}

/// Time limits of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// `None` where the caller's own HTTP client connects.
    pub(super) connect: Option<Duration>,
    pub(super) exchange: Duration,
}

/// An answer that came as a whole.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// Starts with the base URL of a server: scheme, host, and the path below which its routes lie. A query behind it, such as
    /// Azure's `?api-version=..`, goes with every request.
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url.into())
    }

    pub(super) fn new(way: Way, endpoint: Endpoint, headers: HeaderMap, secrets: Secrets, limits: Limits) -> Self {
        // Behind TLS there is a proxy, whose connections are another matter.
        let closes = endpoint.url().starts_with("http://").into();
        Self(Arc::new(Inner { way, endpoint, headers, secrets, limits, closes }))
    }

    /// Returns the base URL in its normal form, without a slash at the end, and without its query, which may hold a key.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.0.endpoint.url()
    }

    /// Returns the server's name for [`Slots::of_server`](orchestrator_core::worker::Slots::of_server): the base URL without a
    /// `/v1` at its end, and with `127.0.0.1` for `localhost` and `[::1]`, so that all workers of a server name it alike.
    #[must_use]
    pub fn server(&self) -> &str {
        self.0.endpoint.server()
    }

    /// Returns the path of a route of OpenAI's API, such as `models`: below `/v1`, unless the base URL has a path of its own.
    #[must_use]
    pub fn route(&self, route: &str) -> String {
        let version = if self.0.endpoint.path().is_empty() { "/v1" } else { "" };
        format!("{version}/{route}")
    }

    /// Reads a route's JSON.
    ///
    /// # Errors
    ///
    /// Those of the server as [`classify`](error::classify) tells them; `Transient` where it cannot be reached; `Timeout`;
    /// `Protocol` where what comes is not HTTP, not such JSON, or longer than 64 MiB.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, WorkerError> {
        let page = self.get(path).await?;
        self.parse(&page.body)
    }

    /// Reads a route's text; what is no UTF-8 in it is replaced.
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json).
    pub async fn get_text(&self, path: &str) -> Result<String, WorkerError> {
        let page = self.get(path).await?;
        Ok(String::from_utf8_lossy(&page.body).into_owned())
    }

    /// Sends JSON and reads JSON.
    ///
    /// Not for answers of a model: servers notice that nobody reads a stream any more, and other answers they finish for
    /// nobody. Use [`stream`](Self::stream).
    ///
    /// # Errors
    ///
    /// As [`get_json`](Self::get_json), and `InvalidRequest` where the body cannot be written as JSON.
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, WorkerError> {
        let mut request = self.request(Method::POST, path, json(body)?);
        request.headers.insert(CONTENT_TYPE, JSON);
        let page = self.exchange(request).await?;
        self.parse(&page.body)
    }

    /// Sends JSON and reads the stream of events that comes back; `headers` go beside the client's own, in whose place they
    /// come where they have the same name. Those that are [marked as sensitive](HeaderValue::set_sensitive) are taken out of
    /// errors, as [`ClientBuilder::header`] says.
    ///
    /// It has no time limit but the one for connecting: use [`Timeouts`](orchestrator_core::worker::Timeouts).
    ///
    /// # Errors
    ///
    /// As [`post_json`](Self::post_json). `Protocol` also where something else than a stream comes, unless it is an error.
    pub async fn stream(&self, path: &str, body: &impl Serialize, headers: HeaderMap) -> Result<Frames, WorkerError> {
        let mut request = self.request(Method::POST, path, json(body)?);
        let sensitive = headers.values().filter(|value| value.is_sensitive());
        let secrets = self.0.secrets.and_of_headers(sensitive.filter_map(|value| value.to_str().ok()));
        request.headers.insert(CONTENT_TYPE, JSON);
        request.headers.insert(ACCEPT, EVENTS);
        if self.0.closes.load(Ordering::Relaxed) {
            request.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        request.replace(headers);
        let response = self.send(request, &secrets).await?;
        let is_llama = response.headers().get(SERVER).is_some_and(|name| name.as_bytes().starts_with(b"llama.cpp"));
        if !is_llama {
            self.0.closes.store(false, Ordering::Relaxed);
        }
        if !is_stream(response.headers()) {
            return Err(Box::pin(refused(response, &secrets)).await);
        }
        Ok(Frames::new(response.into_body(), secrets))
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Page, WorkerError> {
        self.exchange(self.request(Method::GET, path, Vec::new())).await
    }

    fn request<'a>(&self, method: Method, path: &'a str, body: Vec<u8>) -> Outgoing<'a> {
        Outgoing { method, path, headers: self.0.headers.clone(), body }
    }

    async fn exchange(&self, request: Outgoing<'_>) -> Result<Page, WorkerError> {
        let limit = self.0.limits.exchange;
        let exchange = async {
            let response = self.send(request, &self.0.secrets).await?;
            let (head, body) = response.into_parts();
            Ok(Page { headers: head.headers, body: read::answer(body).await? })
        };
        let out_of_time = |_| Err(WorkerError::timeout(Phase::Total, limit));
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(out_of_time)
    }

    /// Waits for the head of the response; only one of success comes back.
    async fn send(&self, request: Outgoing<'_>, secrets: &Secrets) -> Result<Response<Body>, WorkerError> {
        let Inner { way, endpoint, limits, .. } = &*self.0;
        let response = match way {
            Way::Lines(lines) => {
                let response = lines.send(request.over_line(endpoint)?).await.map_err(transport::unanswered)?;
                response.map(Body::Line)
            }
            Way::Client(client) => {
                let sending = Box::pin(request.through(client, endpoint).send());
                let response = sending.await.map_err(|error| transport::failed(error, Begun::No, limits.connect))?;
                response::of_client(response)
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Box::pin(refused(response, secrets)).await)
    }

    /// A server may answer 200 and mean an error, also where an answer can be read that has nothing in it.
    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, WorkerError> {
        let clean = |text: &str| self.0.secrets.clean(text).into_owned();
        let failure = || error::of_success(body, &clean);
        let may_be_failure = || memchr::memmem::find(body, b"\"error\"").is_some();
        let error = match serde_json::from_slice(body) {
            Ok(answer) => match may_be_failure().then(failure).flatten() {
                Some(error) => error,
                None => return Ok(answer),
            },
            Err(why) => failure().unwrap_or_else(|| {
                let what = format!("the server sent what cannot be read as its answer: {why}");
                WorkerError::new(Kind::Protocol, what).with_status(StatusCode::OK.as_u16())
            }),
        };
        let shown = clean(&String::from_utf8_lossy(body));
        let start = &shown.as_bytes()[..shown.len().min(KEPT)];
        Err(self.0.secrets.take_out_of(error.with_body(String::from_utf8_lossy(start))))
    }
}

async fn refused(response: Response<Body>, secrets: &Secrets) -> WorkerError {
    let (head, body) = response.into_parts();
    let (mut body, is_whole) = read::refusal(body).await;
    if !is_whole {
        body.truncate(secrets.before_a_begun_one(&body));
    }
    // Where it lies may hold a key as well.
    secrets.take_out_of(error::of_response(head.status, &head.headers, &body, &|text| secrets.clean(text).into_owned()))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// How much of an unreadable answer its error keeps.
const KEPT: usize = 64 * 1024;

fn json(body: &impl Serialize) -> Result<Vec<u8>, WorkerError> {
    serde_json::to_vec(body).map_err(|error| {
        WorkerError::new(Kind::InvalidRequest, "the request cannot be written as JSON").with_source(error)
    })
}

/// A server that does not say what it sends is believed to send what it was asked for.
fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| {
        kind.as_bytes().get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS.as_bytes()))
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.headers.keys().collect();
        f.debug_struct("Client").field("base_url", &self.base_url()).field("headers", &names).finish_non_exhaustive()
    }
}
