use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use orchestrator_config::{Embeddings, Texts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::fault::Fault;
use crate::gateway::{Asked, Site, object};
use crate::json;
use crate::openapi::{Refusals, TextOrTexts, word};

/// What is asked for on the route of embeddings. Fields that are not known here are passed over.
#[derive(Deserialize, ToSchema)]
#[schema(as = EmbeddingsRequest)]
pub(crate) struct Body {
    model: String,
    #[schema(value_type = TextOrTexts, inline)]
    input: Input,
    #[schema(inline)]
    encoding_format: Option<Format>,
    /// That of the model's vectors.
    #[schema(minimum = 1)]
    dimensions: Option<usize>,
    user: Option<String>,
}

/// Texts, and no ids of tokens: which text they stand for is the server's own affair.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`input` must be a text or a list of texts")]
enum Input {
    Text(String),
    Texts(Vec<String>),
}

/// How the numbers of a vector are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    /// In four bytes each, the lowest first.
    Base64,
}

/// `POST /v1/embeddings`.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "OpenAI",
    summary = "Embeds texts.",
    request_body = Body,
    responses((status = 200, description = "The answer.", body = List), Refusals),
)]
pub(crate) async fn embeddings(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let model = site.embedding_model(&body.model)?;
    let texts = match body.input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
    };
    let embedded = model.embed(Texts(texts), &caller, body.user.as_deref()).await?;
    check(&embedded, body.dimensions)?;
    Ok(shown(&embedded, &model.shown(), body.encoding_format.unwrap_or_default()))
}

/// How long its vectors are is the model's own affair: a request may ask for what it gives, and for nothing else.
fn check(embedded: &Embeddings, dimensions: Option<usize>) -> Result<(), Fault> {
    let odd = embedded.vectors.iter().map(Vec::len).find(|length| dimensions.is_some_and(|asked| asked != *length));
    match odd {
        Some(length) => Err(Fault::invalid("dimensions", format!("the model's vectors have {length} dimensions"))),
        None => Ok(()),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Embeddings)]
struct List<'a> {
    #[schema(schema_with = list)]
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    #[schema(inline)]
    usage: Usage,
}

#[derive(Serialize, ToSchema)]
struct Embedding<'a> {
    #[schema(schema_with = embedding)]
    object: &'static str,
    index: usize,
    #[schema(inline)]
    embedding: Vector<'a>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f32]),
    Text(String),
}

#[derive(Serialize, ToSchema)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn list() -> Object {
    word("list")
}

fn embedding() -> Object {
    word("embedding")
}

fn shown(embedded: &Embeddings, model: &str, format: Format) -> Response {
    let written = |numbers| match format {
        Format::Float => Vector::Numbers(numbers),
        Format::Base64 => Vector::Text(base64(numbers)),
    };
    let vectors = embedded.vectors.iter().enumerate();
    let data = vectors.map(|(index, vector)| Embedding { object: "embedding", index, embedding: written(vector) });
    let usage = Usage { prompt_tokens: embedded.tokens, total_tokens: embedded.tokens };
    object(List { object: "list", data: data.collect(), model, usage })
}

fn base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
