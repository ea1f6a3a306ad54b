//! What the server's routes take and give, as an OpenAPI document.
//!
//! Schemas say what is read here. Fields beyond those go on to the server behind, so that all of them are open. They are made
//! of the types that are read and written, or stand beside those where these say something else.

mod refusal;
mod words;

pub(crate) use refusal::{MessageRefusals, Refusals};
pub(crate) use words::{Event, NotEmpty, TextOrTexts, word, words};

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::gateway::routes;
use crate::{anthropic, openai};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    serde_json::to_vec(&Document::openapi())
        .expect("objects with text keys are JSON, and memory takes all of it")
        .into()
});

#[derive(OpenApi)]
#[openapi(
    info(
        title = "prompt-orchestrator",
        description = "Pipelines in front of model servers, by OpenAI's and Anthropic's APIs.",
    ),
    paths(
        openai::chat::chat,
        openai::completion::completion,
        openai::embeddings::embeddings,
        openai::models::models,
        openai::models::model,
        anthropic::messages::messages,
        routes::metrics,
        routes::alive,
        routes::ready,
        openapi,
    ),
    components(schemas(openai::Error, anthropic::Error)),
    security(("bearer" = []), ("x-api-key" = []), ()),
    modifiers(&Keys),
)]
struct Document;

/// How clients say who they are.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let header = ApiKeyValue::new("x-api-key");
        components.add_security_scheme("x-api-key", SecurityScheme::ApiKey(ApiKey::Header(header)));
    }
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    summary = "This document.",
    responses((status = 200, description = "The document.", body = Object)),
)]
pub(crate) async fn openapi() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::gateway::paths;

    fn document() -> Value {
        serde_json::from_slice(&DOCUMENT).expect("JSON")
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let described = document["paths"].as_object().expect("paths");
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        assert_eq!(described, paths().collect());
    }

    #[test]
    fn every_name_leads_to_a_schema() {
        let (document, text) = (document(), document().to_string());
        let names: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        assert_eq!(names, schemas.keys().map(String::as_str).collect());
    }

    #[test]
    fn each_route_has_the_fields_that_are_its_own() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let has = |name: &str, field: &str| schemas[name]["properties"].get(field).is_some();
        for (name, own, others) in [
            ("ChatRequest", ["messages", "tools"], ["prompt", "suffix"]),
            ("TextRequest", ["prompt", "echo"], ["messages", "tools"]),
        ] {
            assert_eq!(schemas[name]["required"], serde_json::json!(["model", own[0]]));
            assert!(own.iter().chain(&["stop", "logprobs"]).all(|field| has(name, field)), "{name}");
            assert!(!others.iter().chain(&["vendor"]).any(|field| has(name, field)), "{name}");
        }
    }
}
