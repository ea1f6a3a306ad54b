use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::fault::{Fault, FaultKind};
use crate::gateway::Site;
use crate::openai::Error;
use crate::{anthropic, openai, openapi};

/// What renders the figures of the process for whoever scrapes them.
pub type Figures = Arc<dyn Fn() -> String + Send + Sync>;

/// A route as it is counted, and in whose words its faults are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) dialect: Dialect,
    /// Whether it asks for a key, where keys are asked for.
    pub(super) is_guarded: bool,
}

/// Whose API a route belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

const fn guarded(path: &'static str) -> Route {
    Route { path, dialect: Dialect::OpenAi, is_guarded: true }
}

const fn open(path: &'static str) -> Route {
    Route { path, dialect: Dialect::OpenAi, is_guarded: false }
}

const fn messages(path: &'static str) -> Route {
    Route { path, dialect: Dialect::Anthropic, is_guarded: true }
}

/// All routes; the last one stands for every path that is none of them.
pub(super) const ROUTES: [Route; 11] = [
    guarded("/v1/chat/completions"),
    guarded("/v1/completions"),
    guarded("/v1/embeddings"),
    messages("/v1/messages"),
    guarded("/v1/models"),
    guarded("/v1/models/{id}"),
    guarded("/metrics"),
    open("/openapi.json"),
    open("/healthz"),
    open("/readyz"),
    guarded("other"),
];

/// The paths of all routes.
#[cfg(test)]
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES[..ROUTES.len() - 1].iter().map(|route| route.path)
}

/// Returns the number of the route that a path belongs to.
pub(super) fn of_path(path: &str) -> usize {
    let known = |path: &str| ROUTES.iter().position(|route| route.path == path);
    let of_model = || path.starts_with("/v1/models/").then(|| known("/v1/models/{id}")).flatten();
    known(path).or_else(of_model).unwrap_or(ROUTES.len() - 1)
}

pub(super) fn router(site: Site, figures: Option<Figures>) -> Router {
    let mut router = Router::new()
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::completion))
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/v1/messages", post(anthropic::messages))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{*id}", get(openai::model))
        .route("/openapi.json", get(openapi::openapi))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready));
    if let Some(figures) = figures {
        router = router.route("/metrics", get(move || async move { metrics(&figures) }));
    }
    router
        .fallback(|| async { Fault::new(FaultKind::NoRoute, "there is no such route") })
        .method_not_allowed_fallback(|| async { Fault::new(FaultKind::NoMethod, "the route takes another method") })
        .with_state(site)
}

/// `GET /healthz`.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    summary = "Says that the process runs.",
    responses((status = 200, description = "It does.", body = String)),
)]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    summary = "Figures for Prometheus; not there where they are switched off.",
    responses(
        (status = 200, description = "The figures.", body = String),
        (status = 401, description = "Why not.", body = Error),
        (status = 404, description = "Why not.", body = Error),
    ),
)]
pub(crate) fn metrics(figures: &Figures) -> Response {
    let mut response = Response::new(figures().into());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// `GET /readyz`: whether requests are taken, which is not while the service ends, and not while nothing answers.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    summary = "Says whether requests are taken.",
    responses(
        (status = 200, description = "They are.", body = String),
        (status = 503, description = "The service ends, or nothing answers.", body = String),
    ),
)]
pub(crate) async fn ready(State(site): State<Site>) -> (StatusCode, &'static str) {
    match (site.is_draining(), site.is_served()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "no model server takes requests\n"),
        (false, true) => (StatusCode::OK, "ready\n"),
    }
}
