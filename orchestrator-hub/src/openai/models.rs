use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use orchestrator_config::{Model, ModelName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::Error;
use crate::fault::{Fault, FaultKind};
use crate::gateway::{Site, object};
use crate::openapi::word;

/// What is told of models. Fields that OpenAI's API does not have are Anthropic's.
#[derive(Serialize, ToSchema)]
#[schema(as = Models)]
struct List<'a> {
    #[schema(schema_with = list)]
    object: &'static str,
    data: Vec<Card<'a>>,
    has_more: bool,
    #[schema(required = true)]
    first_id: Option<&'a str>,
    #[schema(required = true)]
    last_id: Option<&'a str>,
}

/// A model: what nobody knows of it has a value that says nothing.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = Model)]
struct Card<'a> {
    id: &'a str,
    #[schema(schema_with = card)]
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    #[serde(rename = "type")]
    #[schema(schema_with = card)]
    kind: &'static str,
    display_name: &'a str,
    created_at: &'static str,
}

impl<'a> Card<'a> {
    const fn of(name: &'a str) -> Self {
        Self {
            id: name,
            object: "model",
            created: 0,
            owned_by: "prompt-orchestrator",
            kind: "model",
            display_name: name,
            created_at: "1970-01-01T00:00:00Z",
        }
    }
}

fn list() -> Object {
    word("list")
}

fn card() -> Object {
    word("model")
}

/// `GET /v1/models`, in a form that clients of Anthropic's API understand, too. Patterns are no models: what fits them is not
/// known.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "OpenAI",
    summary = "Lists the models.",
    responses(
        (status = 200, description = "What is there.", body = List),
        (status = 401, description = "Why not.", body = Error),
        (
            status = 503,
            description = "Why not.",
            body = Error,
            headers(("Retry-After" = u64, description = "Seconds to wait.")),
        ),
    ),
)]
pub(crate) async fn models(State(site): State<Site>) -> Response {
    let data: Vec<Card<'_>> = site.service().models.iter().filter_map(named).map(Card::of).collect();
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    object(List { object: "list", data, has_more: false, first_id, last_id })
}

/// `GET /v1/models/{id}`. A name that fits a pattern is there, as requests for it are taken.
///
/// # Errors
///
/// Where nothing answers for such a model.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "OpenAI",
    summary = "Says whether a model is there.",
    description = "A name that fits a pattern is there, as requests for it are taken.",
    params(("id" = String, Path, min_length = 1)),
    responses(
        (status = 200, description = "What is there.", body = Card),
        (status = 401, description = "Why not.", body = Error),
        (status = 404, description = "Why not.", body = Error),
        (
            status = 503,
            description = "Why not.",
            body = Error,
            headers(("Retry-After" = u64, description = "Seconds to wait.")),
        ),
    ),
)]
pub(crate) async fn model(
    State(site): State<Site>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Fault> {
    let Path(name) = name.map_err(|_| Fault::new(FaultKind::NoModel, "the model's name is no UTF-8"))?;
    match site.service().model(&name) {
        Some(_) => Ok(object(Card::of(&name))),
        None => Err(unknown(&name)),
    }
}

fn named(model: &Model) -> Option<&str> {
    match &model.name {
        ModelName::Exact(name) => Some(name),
        ModelName::Pattern { .. } => None,
    }
}

/// What is said of a model that is not there.
pub(crate) fn unknown(name: &str) -> Fault {
    let mut fault = Fault::new(FaultKind::NoModel, format!("the model `{name}` does not exist"));
    fault.param = Some("model".to_owned());
    fault
}
