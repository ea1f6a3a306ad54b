use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use orchestrator_config::Service;
use orchestrator_config::file::Limits;
use tokio::time::Instant;
use tower_service::Service as _;
use tracing::Instrument;

use super::figures::{Connected, HttpFigures};
use super::journal::Entry;
use super::routes::{Dialect, Figures, ROUTES, Route, of_path, router};
use crate::fault::{Fault, FaultKind};
use crate::gateway::{Caller, Site};
use crate::keys::{Key, Keys};
use crate::{anthropic, ids, openai};

/// A [`Service`] as HTTP requests and responses, wherever they come from.
///
/// It asks for keys, names requests, counts them, and puts faults into the words of the API that was spoken. Install the
/// recorder of metrics before it is made. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    site: Site,
    router: Router,
    keys: Keys,
    figures: Arc<HttpFigures>,
    writes_journal: bool,
}

impl Gateway {
    /// Puts it in front of a service. `figures` answers `/metrics`, which is not there without it.
    #[must_use]
    pub fn new(service: Service, keys: Keys, limits: Limits, figures: Option<Figures>) -> Self {
        let site = Site::new(service, limits);
        let router = router(site.clone(), figures);
        Self { site, router, keys, figures: Arc::new(HttpFigures::new()), writes_journal: false }
    }

    /// Writes an event of level INFO for each request that is over: its id, its route, status, milliseconds, model and tenant,
    /// and nothing of what was said.
    #[must_use]
    pub const fn access_log(mut self) -> Self {
        self.writes_journal = true;
        self
    }

    /// Takes nothing more: what is asked from now on is refused as unavailable, and `/readyz` says so.
    pub fn close(&self) {
        self.site.drain();
    }

    /// Returns whether it takes nothing more.
    pub(crate) fn is_closed(&self) -> bool {
        self.site.is_draining()
    }

    /// Refuses a request that did not get as far as a gateway, in the words of the API that its path belongs to.
    pub(crate) fn refuse(&self, path: &str, id: HeaderValue, fault: Fault) -> Response {
        let number = of_path(path);
        let counting = self.figures.request(number, Instant::now());
        let span = span(&ROUTES[number], &id);
        let response = axum::response::IntoResponse::into_response(fault);
        let mut response = span.in_scope(|| worded(response, &ROUTES[number], &id));
        response.headers_mut().insert(ids::REQUEST_HEADER, id);
        counting.end(response.status().as_u16());
        response
    }

    /// Counts a connection as open until what is returned is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.figures.connection()
    }

    /// Counts a connection for which there was no room.
    pub(crate) fn refuses_connection(&self) {
        self.figures.refused_connection();
    }

    /// Cancels what is still running, and what clients are still sending; each request is told so. Returns when nothing of what
    /// ran is left.
    pub async fn end(&self) {
        self.close();
        self.site.end();
        let models = self.site.service().models.iter();
        let ending = models.map(|model| async {
            if let Some(chat) = &model.chat {
                chat.drain(Duration::ZERO).await;
            }
            if let Some(embeddings) = &model.embeddings {
                embeddings.drain(Duration::ZERO).await;
            }
        });
        futures_util::future::join_all(ending).await;
    }

    /// Answers a request. Dropping the future, or the body of the response, cancels the work behind it.
    pub async fn call<B>(&self, request: http::Request<B>) -> Response
    where
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let started = Instant::now();
        let id = ids::of_request(request.headers());
        let number = of_path(request.uri().path());
        let route = &ROUTES[number];
        let counting = self.figures.request(number, started);
        let mut entry = self.writes_journal.then(|| Entry::new(id.clone(), route.path, started));
        let span = span(route, &id);
        let response = self.answer(request.map(Body::new), route, entry.as_mut()).instrument(span.clone()).await;
        let mut response = span.in_scope(|| worded(response, route, &id));
        response.headers_mut().insert(ids::REQUEST_HEADER, id);
        counting.end(response.status().as_u16());
        match entry {
            Some(entry) => entry.follow(response),
            None => response,
        }
    }

    async fn answer(&self, mut request: Request, route: &Route, entry: Option<&mut Entry>) -> Response {
        let key = match self.admit(request.headers(), route) {
            Ok(key) => key,
            Err(fault) => return axum::response::IntoResponse::into_response(fault),
        };
        let mut caller = Caller::new(request.headers(), key);
        if let Some(entry) = entry {
            entry.tenant(caller.tenant.clone());
            caller.model = Some(entry.model());
        }
        request.extensions_mut().insert(caller);
        let Ok(response) = self.router.clone().call(request).await;
        response
    }

    /// Says whether the request is taken, and on whose account.
    fn admit(&self, headers: &HeaderMap, route: &Route) -> Result<Option<&Key>, Fault> {
        let key = if route.is_guarded && !self.keys.is_empty() { Some(self.key(headers)?) } else { None };
        if route.path.starts_with("/v1/") && self.site.is_draining() {
            return Err(Fault::new(FaultKind::Unavailable, "the service is about to end"));
        }
        Ok(key)
    }

    fn key(&self, headers: &HeaderMap) -> Result<&Key, Fault> {
        let wrong = |message: &str| Fault::new(FaultKind::Unauthorized, message);
        let presented = presented(headers).ok_or_else(|| wrong("no API key was given"))?;
        self.keys.find(presented).ok_or_else(|| wrong("the API key is not valid"))
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The span of a request. Of the highest level, so that whatever is told of a request tells its id.
fn span(route: &Route, id: &HeaderValue) -> tracing::Span {
    tracing::error_span!("http", request_id = id.to_str().unwrap_or_default(), route = route.path)
}

/// The key of `Authorization: Bearer ..`, or of `x-api-key`.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });
    bearer.or_else(|| headers.get("x-api-key").map(HeaderValue::as_bytes))
}

/// Puts a fault into the words of its API; any other response stays as it is.
fn worded(mut response: Response, route: &Route, id: &HeaderValue) -> Response {
    let Some(fault) = response.extensions_mut().remove::<Fault>() else { return response };
    let body = match route.dialect {
        Dialect::OpenAi => serde_json::to_vec(&openai::Error::from(&fault)),
        Dialect::Anthropic => {
            *response.status_mut() = anthropic::fault_status(fault.kind);
            serde_json::to_vec(&anthropic::Error::new(&fault, id.to_str().ok()))
        }
    };
    fault.log("a request failed");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // It was told before there was a body.
    headers.remove(CONTENT_LENGTH);
    if let Some(seconds) = fault.retry_seconds() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if fault.kind == FaultKind::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    *response.body_mut() = body.expect("objects with text keys are JSON, and memory takes all of it").into();
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn who_did_not_get_as_far_as_a_gateway_is_refused_in_the_words_of_the_api() {
        let gateway = Gateway::new(Service::default(), Keys::default(), Limits::default(), None);
        for (path, status, kind) in [("/v1/messages", 529, "overloaded_error"), ("/v1/embeddings", 503, "server_error")]
        {
            let fault = Fault::new(FaultKind::Overloaded, "full");
            let response = gateway.refuse(path, HeaderValue::from_static("r-1"), fault);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[ids::REQUEST_HEADER], "r-1");
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(told["error"]["type"], kind);
        }
    }
}
