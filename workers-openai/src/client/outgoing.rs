use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};

use super::endpoint::Endpoint;
use super::line::Sent;

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
    pub(super) fn over_line(mut self, endpoint: &Endpoint) -> Result<Sent, WorkerError> {
        let target = endpoint
            .target(self.path)
            .map_err(|_| WorkerError::new(Kind::InvalidRequest, "the request cannot be sent"))?;
        // Where it goes and how long it is, is not the caller's to say.
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            self.headers.remove(name);
        }
        self.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        self.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let mut wire = Vec::with_capacity(1024 + self.body.len());
        put(&mut wire, &[self.method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1"]);
        put(&mut wire, &[b"host: ", endpoint.authority().as_bytes()]);
        for (name, value) in &self.headers {
            put(&mut wire, &[name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
        if self.method != Method::GET {
            put(&mut wire, &[b"content-length: ", self.body.len().to_string().as_bytes()]);
        }
        put(&mut wire, &[]);
        wire.extend_from_slice(&self.body);
        let closes = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
        Ok(Sent { wire: wire.into(), keeps: !self.headers.get_all(CONNECTION).iter().any(closes) })
    }
}

/// Writes a line of the head.
fn put(wire: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().chain(&[&b"\r\n"[..]]).for_each(|part| wire.extend_from_slice(part));
}
