use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};

use super::endpoint::Endpoint;

/// What the client calls itself.
pub(super) const AGENT: &str = concat!("prompt-orchestrator/", env!("CARGO_PKG_VERSION"));

/// A request on its way out.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    /// The path of its route, below that of the base URL.
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    /// Empty where it has none.
    pub(super) body: Vec<u8>,
}

impl Outgoing<'_> {
    /// Puts headers in the place of those with the same name.
    pub(super) fn replace(&mut self, headers: HeaderMap) {
        let mut name = None;
        for (next, value) in headers {
            match next {
                Some(next) => {
                    self.headers.insert(next.clone(), value);
                    name = Some(next);
                }
                // Another value of the same name.
                None => drop(name.as_ref().map(|name| self.headers.append(name, value))),
            }
        }
    }

    /// Hands it to an HTTP client.
    pub(super) fn through(self, client: &reqwest::Client, endpoint: &Endpoint) -> reqwest::RequestBuilder {
        let request = client.request(self.method, endpoint.route(self.path)).headers(self.headers);
        if self.body.is_empty() { request } else { request.body(self.body) }
    }

    /// Makes it what is sent over a connection to the server itself.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` where the route is no path.
    pub(super) fn over_line(self, endpoint: &Endpoint) -> Result<Request<Full<Bytes>>, WorkerError> {
        let invalid = || WorkerError::new(Kind::InvalidRequest, "the request cannot be sent");
        let target = Uri::try_from(endpoint.target(self.path)).map_err(|_| invalid())?;
        let host = HeaderValue::try_from(endpoint.authority()).map_err(|_| invalid())?;
        let mut request = Request::new(Full::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = target;
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        Ok(request)
    }
}
