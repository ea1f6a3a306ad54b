use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// What stands for the status where a client left before it was answered.
pub(super) const LEFT: u16 = 499;

/// How much of a model's name is written down.
const LONGEST: usize = 128;

/// The model that a request asks for, as soon as that is known.
pub(super) type AskedModel = Arc<OnceLock<Box<str>>>;

/// Notes which model is asked for; of two the first.
pub(super) fn note(asked: &AskedModel, model: &str) {
    asked.get_or_init(|| model.chars().take(LONGEST).collect());
}

/// A request's line in the access log, which is written when the request is over: with the end of its response, or when its
/// client leaves. It says nothing of what was asked or answered.
#[derive(Debug)]
pub(super) struct Entry {
    id: HeaderValue,
    route: &'static str,
    started: Instant,
    status: u16,
    tenant: Option<Arc<str>>,
    model: AskedModel,
}

impl Entry {
    pub(super) fn new(id: HeaderValue, route: &'static str, started: Instant) -> Self {
        Self { id, route, started, status: LEFT, tenant: None, model: AskedModel::default() }
    }

    /// On whose account the request is.
    pub(super) fn tenant(&mut self, tenant: Option<Arc<str>>) {
        self.tenant = tenant;
    }

    /// Returns where its model is noted.
    pub(super) fn model(&self) -> AskedModel {
        self.model.clone()
    }

    /// Stays with the response until that is over.
    pub(super) fn follow(mut self, response: Response) -> Response {
        self.status = response.status().as_u16();
        response.map(|body| Body::new(Followed { body, _entry: self }))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        tracing::info!(
            request_id = self.id.to_str().unwrap_or_default(),
            route = self.route,
            status = self.status,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            model = self.model.get().map(|model| &**model),
            tenant = self.tenant.as_deref(),
            "request"
        );
    }
}

/// The body of a response whose end is written down.
struct Followed {
    body: Body,
    _entry: Entry,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
