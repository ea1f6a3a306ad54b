//! What is described of OpenAI's API, where the types that are read and written say something else.
//!
//! Requests are read into [`Body`], on either route, and into the types of the wire, which take more than a route does; answers
//! are borrowed, and written as they come.
#![expect(dead_code, reason = "these are described, and neither read nor written")]

use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::body::Body;
use crate::openapi::NotEmpty;

/// What the route of chats takes.
pub(super) struct ChatRequest;

impl PartialSchema for ChatRequest {
    fn schema() -> RefOr<Schema> {
        of_route("A chat to answer.", "messages", &["prompt"], [])
    }
}

impl ToSchema for ChatRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Body::schemas(schemas);
    }
}

/// What the route of completions takes.
pub(super) struct TextRequest;

impl PartialSchema for TextRequest {
    fn schema() -> RefOr<Schema> {
        let (echo, suffix) = (only(false.into()), only("".into()));
        of_route("A text to go on with.", "prompt", &["messages", "tools"], [("echo", echo), ("suffix", suffix)])
    }
}

impl ToSchema for TextRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Body::schemas(schemas);
    }
}

/// The body as a route takes it: what it needs, but for what belongs to the other one, and with what is looked at among the
/// fields for the server behind.
fn of_route<const N: usize>(
    description: &str,
    needs: &str,
    without: &[&str],
    looked_at: [(&str, Object); N],
) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut body)) = Body::schema() else {
        panic!("a struct without flattened parts is an object")
    };
    let logprobs = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Boolean, Type::Integer, Type::Null]));
    let looked_at = looked_at.into_iter().chain([("logprobs", logprobs.build())]);
    body.properties.retain(|name, _| !without.contains(&name.as_str()));
    body.properties.extend(looked_at.map(|(name, schema)| (name.to_owned(), schema.into())));
    body.required = vec!["model".to_owned(), needs.to_owned()];
    body.description = Some(description.to_owned());
    Schema::Object(body).into()
}

/// This value, or `null`.
fn only(value: Value) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some([value, Value::Null])).build()
}

#[derive(ToSchema)]
pub(super) struct ChatMessage {
    #[schema(inline)]
    role: Role,
    #[schema(inline)]
    content: Option<Content>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(ToSchema)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message. What belongs to its type is the affair of the server behind.
#[derive(ToSchema)]
struct Part {
    #[schema(rename = "type")]
    kind: String,
}

#[derive(ToSchema)]
pub(super) struct Tool {
    #[schema(rename = "type", inline)]
    kind: ToolKind,
    #[schema(inline)]
    function: Function,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ToolKind {
    Function,
}

#[derive(ToSchema)]
struct Function {
    name: String,
}

#[derive(ToSchema)]
pub(super) struct ResponseFormat {
    #[schema(rename = "type", inline)]
    kind: FormatKind,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum FormatKind {
    Text,
    JsonObject,
    JsonSchema,
}

/// There is one answer for each request.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum OneText {
    Text(String),
    Texts(OneOfOne),
}

#[derive(ToSchema)]
#[schema(min_items = 1, max_items = 1)]
pub(super) struct OneOfOne(Vec<String>);

#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Stop {
    Text(NotEmpty),
    Texts(Vec<NotEmpty>),
}

#[derive(ToSchema)]
pub(super) struct StreamOptions {
    include_usage: Option<bool>,
}

/// A whole answer on the route of chats.
#[derive(ToSchema)]
pub(super) struct Chat {
    id: String,
    #[schema(inline)]
    object: ChatObject,
    created: u64,
    model: String,
    #[schema(min_items = 1, max_items = 1)]
    choices: Vec<ChatChoice>,
    usage: Usage,
}

#[derive(ToSchema)]
enum ChatObject {
    #[schema(rename = "chat.completion")]
    Chat,
}

#[derive(ToSchema)]
struct ChatChoice {
    index: u64,
    #[schema(inline)]
    message: Said,
    finish_reason: String,
}

#[derive(ToSchema)]
struct Said {
    role: String,
    #[schema(required = true)]
    content: Option<String>,
}

/// A whole answer on the route of completions.
#[derive(ToSchema)]
pub(super) struct Text {
    id: String,
    #[schema(inline)]
    object: TextObject,
    created: u64,
    model: String,
    #[schema(min_items = 1, max_items = 1)]
    choices: Vec<TextChoice>,
    usage: Usage,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum TextObject {
    TextCompletion,
}

#[derive(ToSchema)]
struct TextChoice {
    index: u64,
    text: String,
    finish_reason: String,
}

#[derive(ToSchema)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}
