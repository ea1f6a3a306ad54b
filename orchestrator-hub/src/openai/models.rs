use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use orchestrator_config::{Model, ModelName};
use serde_json::{Value, json};

use crate::fault::{Fault, FaultKind};
use crate::gateway::{Site, object};

/// `GET /v1/models`, in a form that clients of Anthropic's API understand, too. Patterns are no models: what fits them is not known.
pub(crate) async fn models(State(site): State<Site>) -> Response {
    let data: Vec<Value> = site.service().models.iter().filter_map(named).map(shown).collect();
    let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    object(json!({"object": "list", "data": data, "has_more": false, "first_id": first, "last_id": last}))
}

/// `GET /v1/models/{id}`. A name that fits a pattern is there, as requests for it are taken.
///
/// # Errors
///
/// Where nothing answers for such a model.
pub(crate) async fn model(
    State(site): State<Site>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Fault> {
    let Path(name) = name.map_err(|_| Fault::new(FaultKind::NoModel, "the model's name is no UTF-8"))?;
    match site.service().model(&name) {
        Some(_) => Ok(object(shown(&name))),
        None => Err(unknown(&name)),
    }
}

fn named(model: &Model) -> Option<&str> {
    match &model.name {
        ModelName::Exact(name) => Some(name),
        ModelName::Pattern { .. } => None,
    }
}

fn shown(name: &str) -> Value {
    json!({
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "prompt-orchestrator",
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    })
}

/// What is said of a model that is not there.
pub(crate) fn unknown(name: &str) -> Fault {
    let mut fault = Fault::new(FaultKind::NoModel, format!("the model `{name}` does not exist"));
    fault.param = Some("model".to_owned());
    fault
}
