//! What the server's routes take and give, as an OpenAPI document.
//!
//! Schemas say what is read here. Fields beyond those go on to the server behind, so that all of them are open.
//!
//! They are written by hand, and tests hold them to what is read. The types that bodies are read into keep what they are given, and
//! most rules are looked at later, so that schemas made of those types would say little of what is taken.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /openapi.json`.
pub(crate) async fn openapi() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn document() -> Value {
    let info = json!({
        "title": "prompt-orchestrator",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Pipelines in front of model servers, by OpenAI's and Anthropic's APIs.",
    });
    json!({
        "openapi": "3.1.0",
        "info": info,
        "paths": paths(),
        "security": [{"bearer": []}, {"x-api-key": []}, {}],
        "components": {"schemas": schemas(), "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }},
    })
}

fn paths() -> Value {
    let stream = "Events, each with a piece of the answer, where `stream` is true.";
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}});
    let embeds = "Embeds texts.";
    json!({
        "/v1/chat/completions": {"post": asks("Answers a chat.", "ChatRequest", "Chat", "Error", Some(stream))},
        "/v1/completions": {"post": asks("Goes on with a text.", "TextRequest", "Text", "Error", Some(stream))},
        "/v1/embeddings": {"post": asks(embeds, "EmbeddingsRequest", "Embeddings", "Error", None)},
        "/v1/messages": {"post": asks("Answers a conversation.", "MessageRequest", "Message", "MessageError", Some(stream))},
        "/v1/models": {"get": gives("Lists the models.", "Models", &[401, 503])},
        "/v1/models/{id}": {"parameters": [id], "get": gives("Says whether a model is there.", "Model", &[401, 404, 503])},
        "/metrics": {"get": says("Figures for Prometheus; not there where they are switched off.", &[401, 404])},
        "/healthz": {"get": says("Says that the process runs.", &[])},
        "/readyz": {"get": ready()},
        "/openapi.json": {"get": {"summary": "This document.", "responses": {"200": {
            "description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}},
        }}}},
    })
}

/// A route that takes an object and answers at length.
fn asks(summary: &str, request: &str, answer: &str, fault: &str, stream: Option<&str>) -> Value {
    let mut content = json!({"application/json": {"schema": named(answer)}});
    if let Some(stream) = stream {
        let event = json!({"data": {"type": "string"}, "event": {"type": "string"}});
        content["text/event-stream"] = json!({"schema": described(object(&["data"], &event), stream)});
    }
    // Anthropic's API says by a status of its own that there is too much to do.
    let overloaded = if fault == "MessageError" { 529 } else { 503 };
    let statuses = [400, 401, 404, 405, 408, 413, 429, 431, 500, 502, 503, 504, overloaded];
    let mut responses = faults(&statuses, fault);
    responses.insert("200".to_owned(), json!({"description": "The answer.", "content": content}));
    let body = json!({"required": true, "content": {"application/json": {"schema": named(request)}}});
    json!({"summary": summary, "requestBody": body, "responses": responses})
}

fn gives(summary: &str, answer: &str, statuses: &[u16]) -> Value {
    let mut responses = faults(statuses, "Error");
    let content = json!({"application/json": {"schema": named(answer)}});
    responses.insert("200".to_owned(), json!({"description": "What is there.", "content": content}));
    json!({"summary": summary, "responses": responses})
}

fn says(summary: &str, statuses: &[u16]) -> Value {
    let mut responses = faults(statuses, "Error");
    responses.insert("200".to_owned(), plain("Yes."));
    json!({"summary": summary, "responses": responses})
}

fn ready() -> Value {
    let responses = json!({"200": plain("It does."), "503": plain("The service ends, or nothing answers.")});
    json!({"summary": "Says whether requests are taken.", "responses": responses})
}

fn plain(description: &str) -> Value {
    json!({"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}})
}

fn faults(statuses: &[u16], schema: &str) -> Map<String, Value> {
    let fault = |status: &u16| {
        let mut fault = json!({"description": "Why not.", "content": {"application/json": {"schema": named(schema)}}});
        if matches!(status, 429 | 503 | 529) {
            let seconds = json!({"type": "integer", "minimum": 1});
            fault["headers"] = json!({"Retry-After": {"description": "Seconds to wait.", "schema": seconds}});
        }
        (status.to_string(), fault)
    };
    statuses.iter().map(fault).collect()
}

fn named(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn schemas() -> Value {
    json!({
        "ChatRequest": chat_request(),
        "TextRequest": text_request(),
        "EmbeddingsRequest": embeddings_request(),
        "MessageRequest": message_request(),
        "Chat": answer("chat.completion", &json!({"message": {"type": "object", "required": ["role", "content"]}})),
        "Text": answer("text_completion", &json!({"text": {"type": "string"}})),
        "Embeddings": embeddings(),
        "Message": message(),
        "Models": models(),
        "Model": model(),
        "Error": error(),
        "MessageError": message_error(),
    })
}

/// An object with these fields, of which those must be there.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// A field that may also be `null`.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// What both routes of OpenAI's that generate text take.
fn with_parameters(required: &[&str], more: Value) -> Value {
    let tokens = || or_null(json!({"type": "integer", "minimum": 1, "maximum": u32::MAX}));
    let texts = json!({"type": "array", "items": {"type": "string", "minLength": 1}});
    let mut properties = json!({
        "model": {"type": "string"},
        "max_tokens": tokens(),
        "max_completion_tokens": tokens(),
        "temperature": or_null(json!({"type": "number", "minimum": 0, "maximum": 2})),
        "top_p": or_null(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1})),
        "n": or_null(json!({"type": "integer", "minimum": 1, "maximum": 1})),
        "best_of": or_null(json!({"type": "integer", "minimum": 1, "maximum": 1})),
        "response_format": or_null(object(&["type"], &json!({"type": {"enum": ["text", "json_object", "json_schema"]}}))),
        "stream_options": or_null(object(&[], &json!({"include_usage": or_null(json!({"type": "boolean"}))}))),
        "logprobs": {"type": ["boolean", "integer", "null"]},
        "stop": {"anyOf": [{"type": "string", "minLength": 1}, texts, {"type": "null"}]},
        "seed": or_null(json!({"type": "integer"})),
        "stream": or_null(json!({"type": "boolean"})),
        "user": or_null(json!({"type": "string"})),
    });
    if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
        properties.extend(more);
    }
    object(required, &properties)
}

fn chat_request() -> Value {
    let role = json!({"enum": ["system", "developer", "user", "assistant", "tool"]});
    let parts = json!({"type": "array", "items": object(&["type"], &json!({"type": {"type": "string"}}))});
    let content = json!({"anyOf": [{"type": "string"}, parts, {"type": "null"}]});
    let messages = object(&["role"], &json!({"role": role, "content": content}));
    let function = object(&["name"], &json!({"name": {"type": "string"}}));
    let tools = object(&["type", "function"], &json!({"type": {"enum": ["function"]}, "function": function}));
    let more = json!({
        "messages": {"type": "array", "minItems": 1, "items": messages},
        "tools": or_null(json!({"type": "array", "items": tools})),
    });
    with_parameters(&["model", "messages"], more)
}

fn text_request() -> Value {
    let one = json!({"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string"}});
    let more = json!({
        "prompt": {"anyOf": [{"type": "string"}, one]},
        "echo": {"enum": [false, null]},
        "suffix": {"enum": ["", null]},
    });
    with_parameters(&["model", "prompt"], more)
}

fn embeddings_request() -> Value {
    let texts = json!({"type": "array", "minItems": 1, "items": {"type": "string"}});
    let properties = json!({
        "model": {"type": "string"},
        "input": {"anyOf": [{"type": "string"}, texts]},
        "encoding_format": {"enum": ["float", "base64", null]},
        "dimensions": or_null(json!({"type": "integer", "minimum": 1, "description": "That of the model's vectors."})),
        "user": or_null(json!({"type": "string"})),
    });
    object(&["model", "input"], &properties)
}

fn message_request() -> Value {
    let blocks = json!({"type": "array", "items": object(&["type"], &json!({"type": {"type": "string"}}))});
    let content = json!({"anyOf": [{"type": "string"}, blocks]});
    let turn =
        object(&["role", "content"], &json!({"role": {"enum": ["user", "assistant", "system"]}, "content": content}));
    let tool =
        object(&["name", "input_schema"], &json!({"name": {"type": "string"}, "input_schema": {"type": "object"}}));
    let format = object(&["type", "schema"], &json!({"type": {"enum": ["json_schema"]}, "schema": {"type": "object"}}));
    let properties = json!({
        "model": {"type": "string"},
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": u32::MAX},
        "messages": {"type": "array", "minItems": 1, "items": turn},
        "system": {"anyOf": [content, {"type": "null"}]},
        "stop_sequences": or_null(json!({"type": "array", "items": {"type": "string", "minLength": 1}})),
        "stream": or_null(json!({"type": "boolean"})),
        "temperature": or_null(json!({"type": "number", "minimum": 0, "maximum": 2})),
        "top_p": or_null(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1})),
        "top_k": or_null(json!({"type": "integer", "minimum": 0})),
        "tools": or_null(json!({"type": "array", "items": tool})),
        "tool_choice": or_null(object(&["type"], &json!({"type": {"enum": ["auto", "any", "tool", "none"]}}))),
        "metadata": or_null(object(&[], &json!({"user_id": or_null(json!({"type": "string"}))}))),
        "output_config": or_null(object(&[], &json!({"format": or_null(format)}))),
        "thinking": or_null(object(&["type"], &json!({"type": {"enum": ["enabled", "adaptive", "disabled"]}}))),
    });
    object(&["model", "max_tokens", "messages"], &properties)
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn answer(kind: &str, said: &Value) -> Value {
    let mut choice = json!({"index": count(), "finish_reason": {"type": "string"}});
    if let (Some(choice), Some(said)) = (choice.as_object_mut(), said.as_object()) {
        choice.extend(said.clone());
    }
    let required: Vec<&str> = choice.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let tokens = json!({"prompt_tokens": count(), "completion_tokens": count(), "total_tokens": count()});
    let usage = object(&["prompt_tokens", "completion_tokens", "total_tokens"], &tokens);
    let properties = json!({
        "id": {"type": "string"},
        "object": {"const": kind},
        "created": count(),
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "maxItems": 1, "items": object(&required, &choice)},
        "usage": usage,
    });
    object(&["id", "object", "created", "model", "choices", "usage"], &properties)
}

fn embeddings() -> Value {
    let vector = json!({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]});
    let item = json!({"object": {"const": "embedding"}, "index": count(), "embedding": vector});
    let usage = object(&["prompt_tokens", "total_tokens"], &json!({"prompt_tokens": count(), "total_tokens": count()}));
    let properties = json!({
        "object": {"const": "list"},
        "data": {"type": "array", "items": object(&["object", "index", "embedding"], &item)},
        "model": {"type": "string"},
        "usage": usage,
    });
    object(&["object", "data", "model", "usage"], &properties)
}

fn message() -> Value {
    let block = object(&["type"], &json!({"type": {"enum": ["text", "thinking", "tool_use"]}}));
    let tokens = json!({"input_tokens": count(), "output_tokens": count(), "cache_read_input_tokens": count()});
    let reasons = json!(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]);
    let properties = json!({
        "id": {"type": "string"},
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": {"type": "string"},
        "content": {"type": "array", "minItems": 1, "items": block},
        "stop_reason": {"enum": reasons},
        "stop_sequence": {"type": ["string", "null"]},
        "usage": object(&["input_tokens", "output_tokens"], &tokens),
    });
    object(&["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"], &properties)
}

fn models() -> Value {
    let properties = json!({"object": {"const": "list"}, "data": {"type": "array", "items": named("Model")}});
    object(&["object", "data"], &properties)
}

fn model() -> Value {
    let properties = json!({
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": count(),
        "owned_by": {"type": "string"},
    });
    object(&["id", "object", "created", "owned_by"], &properties)
}

fn error() -> Value {
    let text = json!({"type": ["string", "null"]});
    let fields = json!({"message": {"type": "string"}, "type": {"type": "string"}, "param": text, "code": text});
    object(&["error"], &json!({"error": object(&["message", "type", "param", "code"], &fields)}))
}

fn message_error() -> Value {
    let fields = json!({"type": {"type": "string"}, "message": {"type": "string"}});
    let properties = json!({
        "type": {"const": "error"},
        "error": object(&["type", "message"], &fields),
        "request_id": {"type": "string"},
    });
    object(&["type", "error", "request_id"], &properties)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::gateway::paths;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let described = document["paths"].as_object().expect("paths");
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        assert_eq!(described, paths().collect());
    }

    /// The fields of a type that a body is read into, as its source has them, but for what gathers all others.
    fn fields(source: &'static str) -> BTreeSet<&'static str> {
        let body = source.split("struct Body {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("a body");
        let field = |line: &'static str| line.trim().trim_start_matches("pub(super) ").split_once(": ");
        let named = body.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(field);
        named.map(|(name, _)| name).filter(|name| *name != "vendor").collect()
    }

    #[test]
    fn every_field_that_is_read_is_described() {
        let described = |schema: Value| -> BTreeSet<String> {
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let openai: BTreeSet<String> = &described(chat_request()) | &described(text_request());
        // Of the fields for the server behind these are looked at.
        let looked_at = ["echo", "logprobs", "suffix"];
        let read: BTreeSet<&str> = fields(include_str!("openai/body.rs")).into_iter().chain(looked_at).collect();
        assert_eq!(openai.iter().map(String::as_str).collect::<BTreeSet<_>>(), read);
        let messages = described(message_request());
        let read = fields(include_str!("anthropic/body.rs"));
        assert_eq!(messages.iter().map(String::as_str).collect::<BTreeSet<_>>(), read);
    }

    #[test]
    fn every_name_leads_to_a_schema() {
        let (document, text) = (document(), document().to_string());
        let names: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        assert_eq!(names, schemas.keys().map(String::as_str).collect());
    }
}
